-- put: makes one job known. Shared by everything that enqueues, so that no door has rules of its own.
--
-- job: { id, lane, envelope, spec }; `spec` is empty for a plain job, else words:
--   due =share =key mode window conflict latest parents next...
-- due: ms, or 0 for now | share, key: `=` alone for none | mode: `f` the key is free when the job has ended,
-- `s` when it starts, `w` when the window (ms) is over | conflict: what a second job with the key does, `k`
-- nothing, `r` replace the first, `e` put it off | latest: the most that the first can be put off to, ms
-- after it came | parents: how many jobs must end before it may start | next: jobs that wait for this one
--
-- room: { jobs, bytes } left in the queue
-- returns 1 put | 0 known already | 2 it waits for others | -1 too many jobs | -2 too many bytes
--         | '=' and the id of the job that was replaced or put off | the id that holds the unique key
local function is_open(k, id)
  return call('HEXISTS', k.jobs, id) == 1 and call('HEXISTS', k.outcomes, id) == 0
end

local function read_spec(text)
  local words = {}
  for word in string.gmatch(text, '%S+') do words[#words + 1] = word end
  return { due = tonumber(words[1]), share = sub(words[2], 2), key = sub(words[3], 2),
           mode = words[4], window = tonumber(words[5]), conflict = words[6], latest = tonumber(words[7]),
           parents = tonumber(words[8]), next = words, first_next = 9 }
end

-- The live job that holds a unique key, and since when. The lock never outlives its job: it binds while that
-- job is open, or through its window while the job is still known.
local function holder_of(k, key, now)
  local text = call('HGET', k.unique, key)
  if not text then return nil end
  local id, since, ends = match(text, '^(%S+) (%d+) (%d+)$')
  id = id or text
  ends = tonumber(ends or '0')
  if ends > 0 then
    if now < ends and call('HEXISTS', k.jobs, id) == 1 then return id, tonumber(since) end
    return nil
  end
  if is_open(k, id) then return id, tonumber(since or '0') end
  return nil
end

-- Replaces a job that has not started, or puts it off; false if it has.
local function override(k, now, id, since, job, spec)
  local claim = read_claim(call('HGET', k.claims, id))
  if is_held(claim) or call('HEXISTS', k.blocked, id) == 1 or not is_open(k, id) then return false end
  local due = spec.due
  if spec.latest > 0 then due = math.min(due, since + spec.latest) end
  local delayed = call('ZSCORE', k.delayed, id)
  if spec.conflict == 'r' then
    local before = call('HSTRLEN', k.jobs, id)
    call('HSET', k.jobs, id, job.envelope)
    call('INCRBY', k.bytes, #job.envelope - before)
  end
  if due <= 0 and spec.conflict == 'e' then return true end
  if not delayed then leave(k, id, now) end
  call('ZREM', k.delayed, id)
  -- Also where it is due at once: it comes back through the delayed set, into the lane that it now belongs to, and
  -- behind the instant of its old entry.
  call('ZADD', k.delayed, math.max(due, now + 1), id)
  return true
end

local function put(k, now, job, room)
  local size = #job.envelope
  if job.spec == '' then
    if room.jobs < 1 or room.bytes < size then
      if call('HEXISTS', k.jobs, job.id) == 1 then return 0 end
      return room.jobs < 1 and -1 or -2
    end
    if call('HSETNX', k.jobs, job.id, job.envelope) == 0 then return 0 end
    room.jobs, room.bytes, room.used = room.jobs - 1, room.bytes - size, room.used + size
    return 1
  end
  local spec = read_spec(job.spec)
  if call('HEXISTS', k.jobs, job.id) == 1 then return 0 end
  if spec.key ~= '' then
    local holder, since = holder_of(k, spec.key, now)
    if holder then
      if spec.conflict ~= 'k' and override(k, now, holder, since, job, spec) then return '=' .. holder end
      return holder
    end
  end
  if room.jobs < 1 then return -1 end
  if room.bytes < size then return -2 end
  call('HSET', k.jobs, job.id, job.envelope)
  room.jobs, room.bytes, room.used = room.jobs - 1, room.bytes - size, room.used + size
  if spec.key ~= '' then
    local ends = spec.mode == 'w' and now + spec.window or 0
    call('HSET', k.unique, spec.key, string.format('%s %.0f %.0f', job.id, now, ends))
    if ends > 0 then call('ZADD', k.windows, ends, spec.key) end
    if spec.mode == 's' then call('HSET', k.locks, job.id, spec.key) end
  end
  for n = spec.first_next, #spec.next do call('SADD', k.links, job.id .. ' ' .. spec.next[n]) end
  if spec.parents > 0 then
    call('HSET', k.blocked, job.id, spec.parents)
    return 2
  end
  if spec.due > now then
    call('ZADD', k.delayed, spec.due, job.id)
    return 3
  end
  job.share = spec.share
  job.separator = spec.mode == 's' and '*' or ' '
  return 1
end

-- What is left in the queue: the most jobs and bytes that it may hold, less those that it holds. 0 is no limit.
local function room_in(k, jobs_max, bytes_max)
  local room = { jobs = math.huge, bytes = math.huge, used = 0 }
  if jobs_max > 0 then
    room.jobs = jobs_max - (call('HLEN', k.jobs) - call('HLEN', k.outcomes))
  end
  if bytes_max > 0 then room.bytes = bytes_max - tonumber(call('GET', k.bytes) or '0') end
  return room
end
