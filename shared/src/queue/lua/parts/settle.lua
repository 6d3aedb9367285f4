-- settle: may this caller decide about this job, and what is let go of when it has decided?
--
-- The nonce is compared for equality: a stale holder changes nothing, whatever its clock says. All nonces have
-- one length, so that one which stands at the beginning is the whole of it.
local function holds(text, nonce)
  return text and find(text, nonce, 1, true) == 1
end

-- Answers that were given before are given again: the caller sends the same call where an answer was lost.
local function said_before(k, slot, word)
  local before = call('HGET', k.said, slot)
  if before and find(before, word, 1, true) == 1 then return sub(before, #word + 2) end
  return nil
end

local function remember(k, slot, word, answers)
  call('HSET', k.said, slot, word .. ' ' .. answers)
end

-- Counts `n` jobs out of the claim that they were handed out by; and of what its worker holds, unless that is
-- gone, and what it held is still to be told.
local function count_out(k, nonce, n, worker_is_gone)
  local worker = not worker_is_gone and match(call('HGET', k.owners, nonce) or '', '^%S+')
  if worker and call('HINCRBY', k.held, worker, -n) <= 0 then call('HDEL', k.held, worker) end
  if call('HINCRBY', k.open, nonce, -n) <= 0 then
    call('HDEL', k.open, nonce)
    call('HDEL', k.batches, nonce)
    call('HDEL', k.owners, nonce)
    call('ZREM', k.terms, nonce)
  end
end

-- Counts a job out of its limits; the keys of parked jobs that may go on now are looked at next.
local function free_limits(k, now, limits)
  for limit in string.gmatch(limits, '[^\1]+') do
    if call('HINCRBY', k.running, limit, -1) <= 0 then call('HDEL', k.running, limit) end
    if sub(limit, 1, 1) == 'g' then call('ZADD', k.waits, 'XX', now, sub(limit, 3)) end
  end
end

-- Lets go of jobs given as { id, claim }; true if that makes room under a limit.
local function let_go(k, now, gone, worker_is_gone)
  local batches, ids, limited = {}, {}, false
  for i, job in ipairs(gone) do
    local claim = job[2]
    ids[i] = job[1]
    batches[claim.nonce] = (batches[claim.nonce] or 0) + 1
    if claim.mark == '#' then
      free_limits(k, now, claim.limits)
      limited = true
    end
  end
  for nonce, n in pairs(batches) do count_out(k, nonce, n, worker_is_gone) end
  if #ids > 0 and call('EXISTS', k.leases) == 1 then call('ZREM', k.leases, unpack(ids)) end
  return limited
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
