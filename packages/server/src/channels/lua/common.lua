-- Every script begins with this file.
--
-- Keys. All keys of a partition have one hash tag, so that one script may touch them and one subscription hears them all.
--   state     hash    run: the replication history (master_replid) that the partition lives in, and since when; seq: messages published;
--                     version: changes of interest; safe: until when watchers of an earlier run may trust their picture;
--                     layout: number of partitions; beat: when somebody last looked
--   watchers  hash    id -> "until:seen": publishers that rely on their picture of who is listened to, and up to which version
--   interest  zset    channel -> until when it is interesting
-- and of each channel seven:
--   m   hash   run, epoch, until, born (version of its interest), n (numbers, see NUMBERS), @EDGE (until when that edge holds it)
--   h   list   payloads of offsets first..top
--   z   list   "at:bytes" of the same
--   i0 i1   sets     event ids, two generations; the young one is number idr % 2
--   v0 v1   hashes   entity key -> version, two generations
--
-- Time is Redis's own (ms); ARGV[1] replaces it where a test moves time. ARGV[2] is the length of a watcher's lease (ms).

local function now_ms()
  if ARGV[1] ~= '' then return tonumber(ARGV[1]) end
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- The partition belongs to one replication history. A promoted replica, and a server that was started again, has another id than the
-- one before: acknowledged writes may be missing here, so nothing from before is continued.
local function partition(state, now)
  local info = redis.call('INFO', 'replication')
  -- A replica would answer from what it has, which may be old.
  if not string.find(info, 'role:master', 1, true) then error({ err = 'READONLY this server is not a master' }) end
  local server = string.match(info, 'master_replid:(%x+)')
  local run = redis.call('HGET', state, 'run')
  if not run or string.match(run, '%x+') ~= server then
    -- With the time: a state that was thrown away and made anew is another run too.
    run = string.format('%s.%d', server, now)
    -- Watchers that relied on their picture before may do so until their leases end.
    redis.call('HSET', state, 'run', run, 'safe', string.format('%d', now + tonumber(ARGV[2])))
    redis.call('HINCRBY', state, 'version', 1)
  end
  return run
end

local function channel_keys(at)
  return { m = KEYS[at], h = KEYS[at + 1], z = KEYS[at + 2], i = { [0] = KEYS[at + 3], KEYS[at + 4] }, v = { [0] = KEYS[at + 5], KEYS[at + 6] } }
end

-- In one field, since each field of a hash costs about half a microsecond to read and to write: top, first offset in h, bytes in h,
-- rotations and members of the young generation of ids (idr, idn) and of versions (vr, vn), until when h and z live at least.
local NUMBERS = { 'top', 'first', 'bytes', 'idr', 'idn', 'vr', 'vn', 'ttl' }

local function read_numbers(c, text)
  local i = 1
  for number in string.gmatch(text, '%d+') do
    c[NUMBERS[i]] = tonumber(number)
    i = i + 1
  end
end

local function numbers_of(c)
  return string.format('%d %d %d %d %d %d %d %d', c.top, c.first, c.bytes, c.idr, c.idn, c.vr, c.vn, c.ttl)
end

-- Nil where nobody is interested.
local function read_channel(m, now)
  local f = redis.call('HMGET', m, 'run', 'epoch', 'until', 'born', 'n')
  if not f[5] or tonumber(f[3]) <= now then return nil end
  local c = { run = f[1], epoch = f[2], born = tonumber(f[4]) }
  c['until'] = tonumber(f[3])
  read_numbers(c, f[5])
  return c
end

local function start_epoch(k, c, run, epoch)
  redis.call('UNLINK', k.h, k.z)
  c.run, c.epoch, c.top, c.first, c.bytes, c.ttl = run, epoch, 0, 1, 0, 0
  redis.call('HSET', k.m, 'run', run, 'epoch', epoch, 'n', numbers_of(c))
end

-- Interesting, in this run. After a change of run a new epoch begins; ids and versions stay, so that what is tried again is still
-- a duplicate.
local function current_channel(k, run, now, epoch)
  local c = read_channel(k.m, now)
  if c and c.run ~= run then start_epoch(k, c, run, epoch) end
  return c
end

-- Until when a channel is interesting; what it consists of lives about as long. History has its own time to live.
local function extend(k, interest, name, now, till)
  redis.call('HSET', k.m, 'until', string.format('%d', till))
  redis.call('ZADD', interest, string.format('%d', till), name)
  local ttl = math.max(1, till - now) + 1000
  redis.call('PEXPIRE', k.m, ttl)
  for g = 0, 1 do
    redis.call('PEXPIRE', k.i[g], ttl)
    redis.call('PEXPIRE', k.v[g], ttl)
  end
end

-- A channel that nobody was interested in begins anew, with nothing of what it may have been: events have passed it by.
-- Everybody who relies on a picture is told.
local function create_channel(k, state, interest, name, notes, run, now, epoch, till)
  redis.call('UNLINK', k.m, k.h, k.z, k.i[0], k.i[1], k.v[0], k.v[1])
  local c = { born = redis.call('HINCRBY', state, 'version', 1), idr = 0, idn = 0, vr = 0, vn = 0 }
  c['until'] = till
  redis.call('HSET', k.m, 'born', c.born)
  start_epoch(k, c, run, epoch)
  extend(k, interest, name, now, till)
  redis.call('SPUBLISH', notes, c.born .. '\t+\t' .. name)
  return c
end

-- What Redis has evicted or expired counts as gone.
local function mend(k, c)
  local count = c.top - c.first + 1
  if count == 0 or (redis.call('LLEN', k.h) == count and redis.call('LLEN', k.z) == count) then return end
  redis.call('UNLINK', k.h, k.z)
  c.first, c.bytes = c.top + 1, 0
end

-- Applies the bounds on count, bytes and age.
local function trim(k, c, now, max_events, max_bytes, max_age)
  local count = c.top - c.first + 1
  local gone, done = 0, false
  while gone < count and not done do
    for _, entry in ipairs(redis.call('LRANGE', k.z, gone, gone + 31)) do
      local at, bytes = string.match(entry, '(%d+):(%d+)')
      done = count - gone <= max_events and c.bytes <= max_bytes and now - at < max_age
      if done then break end
      gone, c.bytes = gone + 1, c.bytes - bytes
    end
  end
  if gone > 0 then
    c.first = c.first + gone
    redis.call('LTRIM', k.h, gone, -1)
    redis.call('LTRIM', k.z, gone, -1)
  end
end
