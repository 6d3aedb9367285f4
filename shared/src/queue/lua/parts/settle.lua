-- settle: may this caller decide about this job?
-- 1 yes, it holds the claim | 2 it decided before and the answer was lost | 0 somebody else's job now
-- The nonce is compared for equality: a stale holder changes nothing, whatever its clock says.
local function standing(claim, nonce)
  if not claim or claim.nonce ~= nonce then return 0 end
  if claim.held then return 1 end
  return 2
end

-- Counts jobs out that their workers no longer hold, given as id -> worker.
local function release_all(held, jobs)
  local counts = {}
  for _, worker in pairs(jobs) do counts[worker] = (counts[worker] or 0) + 1 end
  for worker, n in pairs(counts) do
    if redis.call('HINCRBY', held, worker, -n) <= 0 then redis.call('HDEL', held, worker) end
  end
end

-- Takes the lease away; what is written instead is the caller's business.
local function release(leases, held, id, claim)
  redis.call('ZREM', leases, id)
  release_all(held, { [id] = claim.worker })
end

-- Frees a unique key, but only if it is still this job's.
local function free(unique, key, id)
  if key ~= '' and redis.call('HGET', unique, key) == id then redis.call('HDEL', unique, key) end
end
