-- Looks where a partition stands.
--
-- KEYS   state
-- ARGV   now, lease, number of partitions
-- Reply  run, seq, number of partitions that the store is laid out for
--
-- Guarantee: `seq` is the number of the last message fanned out in `run`. A write, so that a server that is no master any more refuses it.
local now = now_ms()
local run = partition(KEYS[1], now)
redis.call('HSETNX', KEYS[1], 'layout', ARGV[3])
redis.call('HSET', KEYS[1], 'beat', string.format('%d', now))
return { run, tonumber(redis.call('HGET', KEYS[1], 'seq') or 0), tonumber(redis.call('HGET', KEYS[1], 'layout')) }
