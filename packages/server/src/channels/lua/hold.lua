-- An edge goes on holding channels of one partition, and hears where they stand.
--
-- KEYS   state, interest, then m h z i0 i1 v0 v1 of each channel
-- ARGV   now, lease, edge, hold (ms), linger (ms), length of what stands before the name in m
-- Reply  for each channel: epoch and top, or '' and 0 where it must be attached again
--
-- Guarantee: a channel that is answered for has been held without a break, in one epoch, since it was attached.
local now = now_ms()
local run = partition(KEYS[1], now)
local reply = {}
for at = 3, #KEYS, 7 do
  local k = channel_keys(at)
  local c = read_channel(k.m, now)
  if c and c.run == run then
    local held = now + tonumber(ARGV[4])
    redis.call('HSET', k.m, '@' .. ARGV[3], string.format('%d', held))
    extend(k, KEYS[2], string.sub(k.m, tonumber(ARGV[6]) + 1), now, math.max(c['until'], held + tonumber(ARGV[5])))
    reply[#reply + 1] = c.epoch
    reply[#reply + 1] = c.top
  else
    reply[#reply + 1] = ''
    reply[#reply + 1] = 0
  end
end
return reply
