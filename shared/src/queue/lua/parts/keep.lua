-- keep: ended jobs that are kept for a while, and forgetting them.
--
-- Jobs that ended in one call make one entry of the list `done`: `until bytes id id ...`. A job that is to be
-- kept for a time of its own stands in the sorted set `kept` instead, and is kept that long whatever the count:
-- somebody waits for it. `counts` has how many there are in all
-- (`done`) and how many bytes they take (`done_bytes`).
local function forget(k, ids)
  if #ids == 0 then return end
  call('HDEL', k.jobs, unpack(ids))
  -- What is not there costs no more than to see that.
  for _, key in ipairs({ k.outcomes, k.claims, k.trail, k.notes, k.logs }) do
    if call('EXISTS', key) == 1 then call('HDEL', key, unpack(ids)) end
  end
end

local function size_of(k, id)
  return call('HSTRLEN', k.jobs, id) + call('HSTRLEN', k.outcomes, id)
end

local function count_done(k, jobs, bytes)
  call('HINCRBY', k.counts, 'done', jobs)
  call('HINCRBY', k.counts, 'done_bytes', bytes)
end

-- Keeps jobs that ended together. `bytes` is what their envelopes and outcomes take.
local function keep_done(k, until_ms, ids, bytes)
  if #ids == 0 then return end
  call('RPUSH', k.done, string.format('%.0f %.0f ', until_ms, bytes) .. table.concat(ids, ' '))
  count_done(k, #ids, bytes)
end

local function keep_apart(k, until_ms, id, bytes)
  call('ZADD', k.kept, until_ms, id)
  count_done(k, 1, bytes)
end

-- Forgets what the first entry of `done` holds, at most `most` jobs of it. What is left goes back.
local function drop_entry(k, most)
  local entry = call('LPOP', k.done)
  local until_ms, bytes, rest = match(entry, '^(%d+) (%d+) (.*)$')
  if not until_ms then return 1 end
  bytes = tonumber(bytes)
  local ids, left = {}, {}
  for id in string.gmatch(rest, '%S+') do
    if #ids < most then ids[#ids + 1] = id else left[#left + 1] = id end
  end
  local gone_bytes = bytes
  if #left > 0 then
    gone_bytes = 0
    for _, id in ipairs(ids) do gone_bytes = gone_bytes + size_of(k, id) end
    call('LPUSH', k.done, string.format('%s %.0f ', until_ms, bytes - gone_bytes) .. table.concat(left, ' '))
  end
  forget(k, ids)
  count_done(k, -#ids, -gone_bytes)
  call('DECRBY', k.bytes, gone_bytes)
  return #ids
end

local function drop_kept(k, ids)
  local bytes = 0
  for _, id in ipairs(ids) do bytes = bytes + size_of(k, id) end
  if #ids == 0 then return 0 end
  call('ZREM', k.kept, unpack(ids))
  forget(k, ids)
  count_done(k, -#ids, -bytes)
  call('DECRBY', k.bytes, bytes)
  return #ids
end

-- Forgets done jobs that have had their time, and those that there is no room for; at most `most`.
local function trim_done(k, now, room, room_bytes, most)
  local kept = call('HMGET', k.counts, 'done', 'done_bytes')
  local count, bytes = tonumber(kept[1] or '0') - call('ZCARD', k.kept), tonumber(kept[2] or '0')
  local gone = 0
  while gone < most do
    local head = call('LINDEX', k.done, 0)
    if not head then break end
    local until_ms, entry_bytes = match(head, '^(%d+) (%d+)')
    local over = count - room
    local went
    if tonumber(until_ms or '0') <= now then
      went = drop_entry(k, most - gone)
    elseif over > 0 then
      went = drop_entry(k, math.min(over, most - gone))
    elseif room_bytes > 0 and bytes > room_bytes then
      went = drop_entry(k, most - gone)
      bytes = bytes - tonumber(entry_bytes)
    else
      break
    end
    count, gone = count - went, gone + went
  end
  if call('EXISTS', k.kept) == 1 and gone < most then
    gone = gone + drop_kept(k, call('ZRANGEBYSCORE', k.kept, '-inf', now, 'LIMIT', 0, most - gone))
  end
  return gone
end

-- Puts a job into the dead letter.
local function keep_dead(k, now, id, outcome)
  call('HSETNX', k.jobs, id, '')
  call('HSET', k.outcomes, id, outcome)
  call('ZADD', k.dead, now, id)
  call('INCRBY', k.bytes, #outcome)
  call('HINCRBY', k.counts, 'dead_bytes', size_of(k, id))
end

local function drop_dead(k, ids)
  if #ids == 0 then return 0 end
  local bytes = 0
  for _, id in ipairs(ids) do bytes = bytes + size_of(k, id) end
  call('ZREM', k.dead, unpack(ids))
  forget(k, ids)
  call('HINCRBY', k.counts, 'dead_bytes', -bytes)
  call('DECRBY', k.bytes, bytes)
  return #ids
end

-- Forgets dead jobs that have had their time, and those that there is no room for; counts what was dropped.
local function trim_dead(k, before_ms, room, room_bytes, most)
  local gone = drop_dead(k, call('ZRANGEBYSCORE', k.dead, '-inf', before_ms, 'LIMIT', 0, most))
  local over = math.min(call('ZCARD', k.dead) - room, most - gone)
  if over > 0 then gone = gone + drop_dead(k, call('ZRANGE', k.dead, 0, over - 1)) end
  while room_bytes > 0 and gone < most
    and tonumber(call('HGET', k.counts, 'dead_bytes') or '0') > room_bytes do
    local dropped = drop_dead(k, call('ZRANGE', k.dead, 0, 0))
    if dropped == 0 then break end
    gone = gone + dropped
  end
  if gone > 0 then call('HINCRBY', k.stats, 'dead_dropped', gone) end
  return gone
end
