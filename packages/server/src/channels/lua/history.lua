-- Events of one channel after a position.
--
-- KEYS   state, interest, then m h z i0 i1 v0 v1 of the channel
-- ARGV   now, lease, name, pub/sub channel of the notes, epoch to begin where one must begin, linger (ms),
--        epoch and offset of the position, limit, bytes of the slice, maxEvents, maxBytes, maxAge (ms)
-- Reply  epoch, top, missed (-1 where it cannot be told), offset of the first event, then the payloads
--
-- Guarantee: one consistent look; the slice is without holes. A channel that nobody was interested in is interesting from now on for
-- `linger`, so that the position that is answered with can be continued.
local now = now_ms()
local state, interest = KEYS[1], KEYS[2]
local run = partition(state, now)
local k = channel_keys(3)
local c = current_channel(k, run, now, ARGV[5])
if not c then c = create_channel(k, state, interest, ARGV[3], ARGV[4], run, now, ARGV[5], now + tonumber(ARGV[6])) end
local first = c.first
mend(k, c)
trim(k, c, now, tonumber(ARGV[11]), tonumber(ARGV[12]), tonumber(ARGV[13]))
if c.first ~= first then redis.call('HSET', k.m, 'n', numbers_of(c)) end

local after, limit, budget = tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10])
-- A position above the top was never given out in this epoch, so nothing can be proven from it either.
local provable = ARGV[7] == c.epoch and after >= 0 and after <= c.top
local from = provable and math.max(after + 1, c.first) or c.first
local reply = { c.epoch, c.top, provable and from - after - 1 or -1, from }
local begin, count = from - c.first, 0
for _, entry in ipairs(redis.call('LRANGE', k.z, begin, begin + limit - 1)) do
  budget = budget - string.match(entry, ':(%d+)')
  if count > 0 and budget < 0 then break end
  count = count + 1
end
if count > 0 then
  for _, payload in ipairs(redis.call('LRANGE', k.h, begin, begin + count - 1)) do reply[#reply + 1] = payload end
end
return reply
