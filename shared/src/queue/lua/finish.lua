-- finish: record that jobs came to their end, done or cancelled, if the caller still holds them.
--
-- KEYS    jobs claims terms batches owners open leases held said running waits trail notes logs done kept counts outcomes
--         cancels unique locks links blocked shares serving waiters stats bytes history history_room
-- LANES   where jobs stand in line that waited for these
-- ARGV[1] now, ms, or 0 for the server's
-- ARGV[2] who says so
-- ARGV[3] nonce of this call
-- ARGV[4] most done jobs to keep
-- ARGV[5] most bytes of done jobs to keep, or 0
-- ARGV[6] how long to keep them, ms
-- ARGV[7] wake channel
-- ARGV[8] channel of ends
-- ARGV[9] bytes of the envelopes of all of them
-- ARGV[10] number of jobs
-- ARGV[11] 1 if their outcomes are told, 0 if nobody keeps them
-- ARGV[12] what the history is told of them, a line per job (see parts/history.lua), or empty
-- ARGV[13] number of claims that they were handed out by, then per claim: nonce, number of its jobs
-- then the ids of the jobs, claim after claim, and their outcomes
-- then per particular: place of the job, what, value:
--   u its unique key | k ms to keep it instead | c it was cancelled
--   ! `child place share` a job that waits until it is done | ? the same, until it has ended
-- RETURN  a digit per job: 1 recorded | 0 the claim was lost to another worker
-- LIMIT   O(log N) per job; the caller sends at most 128
-- OOM     allowed: it frees more than it takes, but for the history, which has a bound of its own

k.ended = ARGV[8]
local now, slot, word = clock(ARGV[1]), ARGV[2], ARGV[3]
local answers = said_before(k, slot, word)
if answers then return answers end
local room, age, count = tonumber(ARGV[4]), tonumber(ARGV[6]), tonumber(ARGV[10])
-- Room for these first, so that a full Redis gets emptier by finishing.
trim_done(k, now, math.max(0, room - count), tonumber(ARGV[5]), 256)

local particulars = {}
local claimed = 13 + 2 * tonumber(ARGV[13])
local told = claimed + count
for i = told + 1 + (ARGV[11] == '1' and count or 0), #ARGV, 3 do
  local place = tonumber(ARGV[i])
  local mine = particulars[place] or { keep = nil, key = '', links = {}, cancelled = false }
  local what, value = ARGV[i + 1], ARGV[i + 2]
  if what == 'u' then mine.key = value
  elseif what == 'k' then mine.keep = tonumber(value)
  elseif what == 'c' then mine.cancelled = true
  else mine.links[#mine.links + 1] = what .. value end
  particulars[place] = mine
end

-- One command for all jobs instead of one per job: a batch costs little more than a job.
local claims = call('HMGET', k.claims, unpack(ARGV, claimed + 1, told))

-- Nearly always all of them are held, were never handed out before, and have nothing particular about them.
local function are_plain()
  if next(particulars) then return false end
  local at = 0
  for group = 14, claimed, 2 do
    local fresh = ARGV[group] .. ' . 1 0 0'
    for i = at + 1, at + tonumber(ARGV[group + 1]) do
      if claims[i] ~= fresh then return false end
    end
    at = at + tonumber(ARGV[group + 1])
  end
  return true
end

local function finish_plain()
  local ids = { unpack(ARGV, claimed + 1, told) }
  if call('EXISTS', k.cancels) == 1 then call('HDEL', k.cancels, unpack(ids)) end
  if call('EXISTS', k.leases) == 1 then call('ZREM', k.leases, unpack(ids)) end
  for group = 14, claimed, 2 do count_out(k, ARGV[group], tonumber(ARGV[group + 1])) end
  local bytes = tonumber(ARGV[9])
  if room > 0 and age > 0 then
    local outcomes, sizes = {}, 0
    for i = 1, count do
      local outcome = ARGV[told + i]
      outcomes[2 * i - 1], outcomes[2 * i] = ids[i], outcome
      sizes = sizes + #outcome
    end
    call('HDEL', k.claims, unpack(ids))
    call('HSET', k.outcomes, unpack(outcomes))
    keep_done(k, now + age, ids, bytes + sizes)
    call('INCRBY', k.bytes, sizes)
  else
    -- Their claims go with them.
    forget(k, ids)
    call('DECRBY', k.bytes, bytes)
  end
  call('HINCRBY', k.stats, 'done', count)
  tell_waiters(k, ids)
  return string.rep('1', count)
end

if are_plain() then
  answers = finish_plain()
  tell_lines(k, count, ARGV[12], answers)
  remember(k, slot, word, answers)
  return answers
end

answers = {}
local ended, dropped, kept, outcomes = {}, {}, {}, {}
local bytes, done, cancelled, limited, seen, batches = 0, 0, 0, false, {}, {}
local group, left, nonce = 12, 0, ''
for i = 1, count do
  while left == 0 do
    group = group + 2
    nonce, left = ARGV[group], tonumber(ARGV[group + 1])
  end
  left = left - 1
  local text, id = claims[i], ARGV[claimed + i]
  if text and find(text, nonce, 1, true) == 1 and not seen[id] then
    seen[id], answers[i] = true, 1
    ended[#ended + 1] = id
    batches[nonce] = (batches[nonce] or 0) + 1
    if byte(text, #nonce + 2) == 35 then
      free_limits(k, now, read_claim(text).limits)
      limited = true
    end
    local mine = particulars[i]
    if not mine then
      done = done + 1
    else
      if mine.cancelled then cancelled = cancelled + 1 else done = done + 1 end
      free(k, mine.key, id)
      for _, link in ipairs(mine.links) do
        local how, child, place, share = match(link, '^(.)(%S+) (%d+) ?(%S*)$')
        if how == '?' or not mine.cancelled then
          follow_on(k, now, id, child, LANES[tonumber(place)], share, ARGV[7])
        end
      end
    end
    if mine and mine.keep and mine.keep > 0 then
      local outcome = ARGV[told + i]
      call('HSET', k.outcomes, id, outcome)
      keep_apart(k, now + mine.keep, id, size_of(k, id))
      bytes = bytes + #outcome
    elseif room > 0 and age > 0 and not (mine and mine.keep) then
      local outcome = ARGV[told + i]
      kept[#kept + 1] = id
      outcomes[#outcomes + 1] = id
      outcomes[#outcomes + 1] = outcome
      bytes = bytes + #outcome
    else
      dropped[#dropped + 1] = id
    end
  else
    answers[i] = 0
  end
end

-- What the envelopes take of those that are kept together, or dropped: as the caller says, if that is all of them.
local rest = tonumber(ARGV[9])
if #kept + #dropped < count then
  rest = 0
  for _, ids in ipairs({ kept, dropped }) do
    for _, id in ipairs(ids) do rest = rest + call('HSTRLEN', k.jobs, id) end
  end
end
if #ended > 0 then
  call('HDEL', k.claims, unpack(ended))
  if call('EXISTS', k.cancels) == 1 then call('HDEL', k.cancels, unpack(ended)) end
  if call('EXISTS', k.leases) == 1 then call('ZREM', k.leases, unpack(ended)) end
  for nonce, n in pairs(batches) do count_out(k, nonce, n) end
  if limited then call('PUBLISH', ARGV[7], '') end
end
if #kept > 0 then
  local sizes = 0
  for i = 2, #outcomes, 2 do sizes = sizes + #outcomes[i] end
  call('HSET', k.outcomes, unpack(outcomes))
  keep_done(k, now + age, kept, rest + sizes)
end
if #dropped > 0 then
  forget(k, dropped)
  bytes = bytes - rest
end
if bytes ~= 0 then call('INCRBY', k.bytes, bytes) end
if done > 0 then call('HINCRBY', k.stats, 'done', done) end
if cancelled > 0 then call('HINCRBY', k.stats, 'cancelled', cancelled) end
tell_waiters(k, ended)
answers = table.concat(answers)
tell_lines(k, count, ARGV[12], answers)
remember(k, slot, word, answers)
return answers
