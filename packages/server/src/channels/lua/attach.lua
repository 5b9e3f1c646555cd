-- An edge begins to hold a channel, or goes on holding it.
--
-- KEYS   state, watchers, interest, then m h z i0 i1 v0 v1 of the channel
-- ARGV   now, lease, name, pub/sub channel of the notes, epoch to begin where one must begin, edge, hold (ms), linger (ms)
-- Reply  run, epoch, top, version of the channel's interest, ms until no watcher of an earlier run can trust its picture,
--        then id and ms left of each watcher that may not know of the channel yet
--
-- Guarantee: every event published after this step has an offset above `top` in `epoch`, while the hold is renewed in time; and
-- publishers that take the channel for uninteresting are exactly those that are named, at most until their time is over.
local now = now_ms()
local state, watchers, interest = KEYS[1], KEYS[2], KEYS[3]
local name, hold = ARGV[3], tonumber(ARGV[7])
local till = now + hold + tonumber(ARGV[8])
local run = partition(state, now)
local k = channel_keys(4)
local c = current_channel(k, run, now, ARGV[5]) or create_channel(k, state, interest, name, ARGV[4], run, now, ARGV[5], till)
redis.call('HSET', k.m, '@' .. ARGV[6], string.format('%d', now + hold))
extend(k, interest, name, now, math.max(till, c['until']))
local safe = tonumber(redis.call('HGET', state, 'safe') or 0)
local reply = { run, c.epoch, c.top, c.born, math.max(0, safe - now) }
local all = redis.call('HGETALL', watchers)
for i = 1, #all, 2 do
  local lease_end, seen = string.match(all[i + 1], '(%d+):(%d+)')
  if tonumber(lease_end) > now and tonumber(seen) < c.born then
    reply[#reply + 1] = all[i]
    reply[#reply + 1] = lease_end - now
  end
end
return reply
