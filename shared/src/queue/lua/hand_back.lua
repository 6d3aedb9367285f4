-- hand_back: return jobs that did not run, at their old place and without using an attempt.
--
-- KEYS[1] leases   zset  id -> leased until, ms
-- KEYS[2] claims   hash  id -> claim
-- KEYS[3] held     hash  worker -> jobs it holds
-- KEYS[4] cancels  hash  id -> who asked, and why
-- KEYS[5..] ready  zset  id -> rank, one per class in this call
-- ARGV[1] wake channel
-- then per job: id, nonce, place of its class
-- RETURN  per job: 1 returned | 2 returned before | 3 not returned, a cancel came first | 0 the claim was lost
-- LIMIT   O(log N) per job; the caller sends at most 128
-- OOM     allowed: a drain must work when memory is short

local answers, wake = {}, false
for i = 2, #ARGV, 3 do
  local id = ARGV[i]
  local claim = read_claim(redis.call('HGET', KEYS[2], id))
  local answer = standing(claim, ARGV[i + 1])
  if answer == 1 and redis.call('HEXISTS', KEYS[4], id) == 1 then
    answer = 3
  elseif answer == 1 then
    release(KEYS[1], KEYS[3], id, claim)
    claim.held = false
    claim.attempt = claim.attempt - 1
    redis.call('HSET', KEYS[2], id, write_claim(claim))
    redis.call('ZADD', KEYS[4 + tonumber(ARGV[i + 2])], claim.rank, id)
    wake = true
  end
  answers[#answers + 1] = answer
end
if wake then redis.call('PUBLISH', ARGV[1], 'ready') end
return answers
