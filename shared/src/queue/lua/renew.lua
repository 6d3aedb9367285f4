-- renew: lengthen the leases that the caller still holds, and tell it what was cancelled.
--
-- A claim gives one lease to all of its jobs; a job that is renewed has one of its own from then on.
--
-- KEYS    claims leases cancels
-- LANES   none
-- ARGV[1] now, ms, or 0 for the server's
-- ARGV[2] lease, ms
-- then per job: id, nonce
-- RETURN  per job: 1 renewed | 0 lost | 3 renewed, and asked to stop
-- LIMIT   O(log N) per job; the caller sends at most 128
-- OOM     allowed: a full Redis must not make running jobs look dead

local now = clock(ARGV[1])
local ids, answers, leases = {}, {}, {}
for i = 3, #ARGV, 2 do ids[#ids + 1] = ARGV[i] end
local claims = call('HMGET', k.claims, unpack(ids))
local any = call('EXISTS', k.cancels) == 1
for n, id in ipairs(ids) do
  answers[n] = 0
  if holds(claims[n], ARGV[2 * n + 2]) then
    leases[#leases + 1] = now + tonumber(ARGV[2])
    leases[#leases + 1] = id
    answers[n] = any and call('HEXISTS', k.cancels, id) == 1 and 3 or 1
  end
end
if #leases > 0 then call('ZADD', k.leases, unpack(leases)) end
return answers
