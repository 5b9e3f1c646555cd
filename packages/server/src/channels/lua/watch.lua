-- A publisher reads which channels of a partition are interesting, or prolongs the lease under which it relies on that picture.
--
-- KEYS   state, watchers, interest
-- ARGV   now, lease, watcher, run ('' reads a new picture) and version of the picture, most channels in a picture,
--        pub/sub channel of the notes, of the events, whether to tell edges of the version (1)
-- Reply  run, version, 'read' with the channels | 'kept' | 'stale' (the picture is of another run) | 'many' (no picture: too many channels)
--
-- Guarantee: a channel that is not in the picture of `version`, and in none of the notes up to the one it has seen, has no listener whose
-- attaching is complete. Whoever attaches waits for watchers that have seen less, as long as their lease lasts.
-- Interest that is over is taken out here, 100 channels a call, and noted.
local now = now_ms()
local state, watchers, interest = KEYS[1], KEYS[2], KEYS[3]
local run = partition(state, now)
local over = redis.call('ZRANGEBYSCORE', interest, '-inf', now, 'LIMIT', 0, 100)
if #over > 0 then
  redis.call('ZREM', interest, unpack(over))
  local version = redis.call('HINCRBY', state, 'version', 1)
  redis.call('SPUBLISH', ARGV[7], version .. '\t-\t' .. table.concat(over, '\t'))
end
local all = redis.call('HGETALL', watchers)
for i = 1, #all, 2 do
  if tonumber(string.match(all[i + 1], '%d+')) <= now then redis.call('HDEL', watchers, all[i]) end
end
local version = tonumber(redis.call('HGET', state, 'version'))
local function tell(seen)
  if ARGV[9] == '1' then redis.call('SPUBLISH', ARGV[8], 'a\t' .. run .. '\t' .. seen .. '\t' .. ARGV[3]) end
end
local lease_end = string.format('%d', now + tonumber(ARGV[2]))
if ARGV[4] == '' then
  if redis.call('ZCARD', interest) > tonumber(ARGV[6]) then
    redis.call('HDEL', watchers, ARGV[3])
    return { run, version, 'many' }
  end
  redis.call('HSET', watchers, ARGV[3], lease_end .. ':' .. version)
  tell(version)
  return { run, version, 'read', redis.call('ZRANGE', interest, 0, -1) }
end
if ARGV[4] ~= run then return { run, version, 'stale' } end
redis.call('HSET', watchers, ARGV[3], lease_end .. ':' .. ARGV[5])
tell(ARGV[5])
return { run, version, 'kept' }
