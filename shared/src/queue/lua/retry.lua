-- retry: put failed or snoozed jobs into the delayed set, if the caller still holds them.
--
-- KEYS[1] leases   zset  id -> leased until, ms
-- KEYS[2] claims   hash  id -> claim
-- KEYS[3] held     hash  worker -> jobs it holds
-- KEYS[4] trail    hash  id -> how earlier attempts ended
-- KEYS[5] delayed  zset  id -> due, ms
-- KEYS[6] cancels  hash  id -> who asked, and why
-- KEYS[7] stats    hash  counter -> value
-- ARGV[1] now, ms, or 0 for the server's
-- then per job: id, nonce, delay ms, 1 if the attempt is not to count, line for the trail
-- RETURN  per job: 1 delayed | 2 delayed before | 3 not delayed, a cancel came first | 0 the claim was lost
-- LIMIT   O(log N) per job; the trail is cut at 4 KiB; the caller sends at most 128
-- OOM     allowed: a failed job must not be lost because memory is short

local now = clock(ARGV[1])
local answers, retried = {}, 0
for i = 2, #ARGV, 5 do
  local id = ARGV[i]
  local claim = read_claim(redis.call('HGET', KEYS[2], id))
  local answer = standing(claim, ARGV[i + 1])
  if answer == 1 and redis.call('HEXISTS', KEYS[6], id) == 1 then
    answer = 3
  elseif answer == 1 then
    release(KEYS[1], KEYS[3], id, claim)
    claim.held = false
    if ARGV[i + 3] == '1' then claim.attempt = claim.attempt - 1 else retried = retried + 1 end
    redis.call('HSET', KEYS[2], id, write_claim(claim))
    redis.call('ZADD', KEYS[5], now + tonumber(ARGV[i + 2]), id)
    if ARGV[i + 4] ~= '' then
      local trail = redis.call('HGET', KEYS[4], id) or ''
      redis.call('HSET', KEYS[4], id, string.sub(trail .. ARGV[i + 4] .. '\n', -4096))
    end
  end
  answers[#answers + 1] = answer
end
if retried > 0 then redis.call('HINCRBY', KEYS[7], 'retried', retried) end
return answers
