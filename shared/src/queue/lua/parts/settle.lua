-- settle: may this caller decide about this job, and what is let go of when it has decided?
--
-- The nonce is compared for equality: a stale holder changes nothing, whatever its clock says.
local function holds(text, nonce)
  return text and sub(text, 1, #nonce + 1) == nonce .. ' '
end

-- Answers that were given before are given again: the caller sends the same call where an answer was lost.
local function said_before(k, slot, word)
  local before = call('HGET', k.said, slot)
  if not before or sub(before, 1, #word + 1) ~= word .. ' ' then return nil end
  local answers = {}
  for digit in string.gmatch(sub(before, #word + 2), '%d') do answers[#answers + 1] = tonumber(digit) end
  return answers
end

local function remember(k, slot, word, answers)
  call('HSET', k.said, slot, word .. ' ' .. table.concat(answers))
end

-- Counts jobs out of the batches they were claimed in, of what their worker holds, and of their limits.
-- `gone`: a list of { id, claim }. With `stays` the worker is gone, and what it held is still to be told.
local function let_go(k, now, gone, stays)
  if #gone == 0 then return end
  local batches, workers, ids = {}, {}, {}
  for i, job in ipairs(gone) do
    local claim = job[2]
    ids[i] = job[1]
    batches[claim.nonce] = (batches[claim.nonce] or 0) + 1
    workers[claim.worker] = (workers[claim.worker] or 0) + 1
    if claim.mark == '#' then
      for tag in string.gmatch(claim.tags, '[^\1]+') do
        if call('HINCRBY', k.running, tag, -1) <= 0 then call('HDEL', k.running, tag) end
        if sub(tag, 1, 1) == 'g' then
          call('ZADD', k.waits, 'XX', now, sub(tag, 3))
        end
      end
      gone.limited = true
    end
  end
  for nonce, n in pairs(batches) do
    if call('HINCRBY', k.open, nonce, -n) <= 0 then
      call('HDEL', k.open, nonce)
      call('HDEL', k.batches, nonce)
      call('ZREM', k.terms, nonce)
    end
  end
  for worker, n in pairs(stays and {} or workers) do
    if call('HINCRBY', k.held, worker, -n) <= 0 then call('HDEL', k.held, worker) end
  end
  if call('EXISTS', k.leases) == 1 then call('ZREM', k.leases, unpack(ids)) end
end

-- Frees a unique key, but only if it is still this job's, and not for a window.
local function free(k, key, id)
  if key == '' then return end
  local text = call('HGET', k.unique, key)
  if text and (text == id or match(text, '^(%S+) %d+ 0$') == id) then
    call('HDEL', k.unique, key)
  end
end

-- Adds a line to what is known of earlier attempts.
local function note(k, id, line)
  local trail = call('HGET', k.trail, id) or ''
  call('HSET', k.trail, id, sub(trail .. line .. '\n', -4096))
end
