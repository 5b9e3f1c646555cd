-- Looks where a partition stands.
--
-- KEYS   state
-- ARGV   now, lease, number of partitions, whether to say what is wrong with the server (1)
-- Reply  run, seq, number of partitions that the store is laid out for, then what is wrong:
--        'evicts' (it may throw keys away), 'unguarded' (it has replicas, and goes on writing without them)
--
-- Guarantee: `seq` is the number of the last message fanned out in `run`. A write, so that a server that is no master any more refuses it.
local now = now_ms()
local run = partition(KEYS[1], now)
redis.call('HSETNX', KEYS[1], 'layout', ARGV[3])
redis.call('HSET', KEYS[1], 'beat', string.format('%d', now))
local reply = { run, tonumber(redis.call('HGET', KEYS[1], 'seq') or 0), tonumber(redis.call('HGET', KEYS[1], 'layout')) }
if ARGV[4] == '1' then
  local memory, replication = redis.call('INFO', 'memory'), redis.call('INFO', 'replication')
  if not string.find(memory, 'maxmemory:0\r', 1, true) and not string.find(memory, 'maxmemory_policy:noeviction', 1, true) then
    reply[#reply + 1] = 'evicts'
  end
  -- Told only where min-replicas-to-write is set.
  local guarded = string.find(replication, 'min_slaves_good_slaves:', 1, true)
  if not guarded and not string.find(replication, 'connected_slaves:0', 1, true) then reply[#reply + 1] = 'unguarded' end
end
return reply
