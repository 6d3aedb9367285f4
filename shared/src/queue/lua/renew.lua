-- renew: lengthen the leases that the caller still holds, and tell it what was cancelled.
--
-- KEYS[1] leases   zset  id -> leased until, ms
-- KEYS[2] claims   hash  id -> claim
-- KEYS[3] cancels  hash  id -> who asked, and why
-- ARGV[1] now, ms, or 0 for the server's
-- ARGV[2] lease, ms
-- then per job: id, nonce
-- RETURN  per job: 1 renewed | 0 lost | 3 renewed, and asked to stop
-- LIMIT   O(log N) per job; the caller sends at most 128
-- OOM     allowed: a full Redis must not make running jobs look dead

local now = clock(ARGV[1])
local answers = {}
for i = 3, #ARGV, 2 do
  local id = ARGV[i]
  local answer = 0
  if standing(read_claim(redis.call('HGET', KEYS[2], id)), ARGV[i + 1]) == 1 then
    redis.call('ZADD', KEYS[1], 'XX', now + tonumber(ARGV[2]), id)
    answer = redis.call('HEXISTS', KEYS[3], id) == 1 and 3 or 1
  end
  answers[#answers + 1] = answer
end
return answers
