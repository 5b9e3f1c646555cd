-- Publishes events to channels of one partition.
--
-- KEYS   state, then m h z i0 i1 v0 v1 of each channel
-- ARGV   now, lease, pub/sub channel of the partition, maxEvents, maxBytes, maxAge (ms), ids remembered, versions remembered,
--        epoch to begin where one must begin, length of what stands before the name in m;
--        then for each channel: number of events, and for each event: id, key, version ('' where it has none), bytes, payload
-- Reply  for each channel: its epoch, then for each event the offset, 0 duplicate, -1 stale, -2 nobody is interested
--
-- Guarantee: for each channel duplicate check, version check, next offset, history and fan-out are one step; fan-out is one message
-- for the whole call, numbered without holes (`seq`), so that who missed one can tell.
local now = now_ms()
local state, fan_out = KEYS[1], ARGV[3]
local max_events, max_bytes, max_age = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local ids, versions, name_at = tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[10]) + 1
local run = partition(state, now)
local reply, message = {}, {}

-- The young generation of ids or versions has `n` members; beyond `size` it becomes the old one, and the old one is forgotten.
local function remembered(pair, c, rotations, n, size, ttl)
  c[n] = c[n] + 1
  if c[n] == 1 then redis.call('PEXPIRE', pair[c[rotations] % 2], ttl) end
  if c[n] > size then
    c[rotations], c[n] = c[rotations] + 1, 0
    redis.call('UNLINK', pair[c[rotations] % 2])
  end
end

local function is_stale(k, c, key, version)
  local young = c.vr % 2
  local last = redis.call('HGET', k.v[young], key) or (c.vr > 0 and redis.call('HGET', k.v[1 - young], key))
  return last and tonumber(version) <= tonumber(last)
end

local function accept(k, c, id, key, version, ttl)
  local young = c.idr % 2
  if c.idr > 0 and redis.call('SISMEMBER', k.i[1 - young], id) == 1 then return 0 end
  if redis.call('SADD', k.i[young], id) == 0 then return 0 end
  if version ~= '' then
    if is_stale(k, c, key, version) then
      -- One that was not taken is not remembered.
      redis.call('SREM', k.i[young], id)
      return -1
    end
    if redis.call('HSET', k.v[c.vr % 2], key, version) == 1 then remembered(k.v, c, 'vr', 'vn', versions, ttl) end
  end
  remembered(k.i, c, 'idr', 'idn', ids, ttl)
  c.top = c.top + 1
  return c.top
end

-- The lists hold exactly first..top, or what came before is gone: evicted or expired by Redis. They live at least as long as the
-- events in them count; reads apply the exact age.
local function append(k, c, payloads, sizes, bytes)
  local n, count = #payloads, c.top - c.first + 1
  local h, z = redis.call('RPUSH', k.h, unpack(payloads)), redis.call('RPUSH', k.z, unpack(sizes))
  c.bytes = c.bytes + bytes
  if h ~= count or z ~= count then
    redis.call('LTRIM', k.h, -n, -1)
    redis.call('LTRIM', k.z, -n, -1)
    c.first, c.bytes = c.top - n + 1, bytes
  end
  if h == n or c.ttl < now + max_age then
    redis.call('PEXPIRE', k.h, 2 * max_age + 60000)
    redis.call('PEXPIRE', k.z, 2 * max_age + 60000)
    c.ttl = now + 2 * max_age
  end
end

local arg = 11
for at = 2, #KEYS, 7 do
  local k, n = channel_keys(at), tonumber(ARGV[arg])
  local c = current_channel(k, run, now, ARGV[9] .. '.' .. at)
  reply[#reply + 1] = c and c.epoch or ''
  local payloads, sizes, bytes = {}, {}, 0
  local ttl = c and math.max(1, c['until'] - now) + 1000
  for i = 1, n do
    local e = arg + 1 + (i - 1) * 5
    local result = c and accept(k, c, ARGV[e], ARGV[e + 1], ARGV[e + 2], ttl) or -2
    if result > 0 then
      payloads[#payloads + 1] = ARGV[e + 4]
      sizes[#sizes + 1] = string.format('%d:%s', now, ARGV[e + 3])
      bytes = bytes + ARGV[e + 3]
    end
    reply[#reply + 1] = result
  end
  if #payloads > 0 then
    local name, first = string.sub(k.m, name_at), c.top - #payloads + 1
    append(k, c, payloads, sizes, bytes)
    trim(k, c, now, max_events, max_bytes, max_age)
    redis.call('HSET', k.m, 'n', numbers_of(c))
    message[#message + 1] = name .. '\t' .. c.epoch .. '\t' .. first .. '\t' .. #payloads
    message[#message + 1] = table.concat(payloads, '\n')
  end
  arg = arg + 1 + n * 5
end

if #message > 0 then
  local seq = redis.call('HINCRBY', state, 'seq', 1)
  redis.call('SPUBLISH', fan_out, 'e\t' .. run .. '\t' .. seq .. '\n' .. table.concat(message, '\n'))
end
return reply
