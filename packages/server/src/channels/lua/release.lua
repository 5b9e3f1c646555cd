-- An edge lets go of a channel: its last listener there has left.
--
-- KEYS   state, interest, then m h z i0 i1 v0 v1 of the channel
-- ARGV   now, lease, edge, linger (ms), length of what stands before the name in m
-- Reply  1 where the channel is still interesting, else 0
--
-- Guarantee: the channel stays interesting for `linger` after the last of all edges let go of it, or stopped renewing its hold.
local now = now_ms()
local k = channel_keys(3)
if not read_channel(k.m, now) then return 0 end
redis.call('HDEL', k.m, '@' .. ARGV[3])
local last = now
local all = redis.call('HGETALL', k.m)
for i = 1, #all, 2 do
  if string.sub(all[i], 1, 1) == '@' then
    local held = tonumber(all[i + 1])
    if held > now then last = math.max(last, held) else redis.call('HDEL', k.m, all[i]) end
  end
end
extend(k, KEYS[2], string.sub(k.m, tonumber(ARGV[5]) + 1), now, last + tonumber(ARGV[4]))
return 1
