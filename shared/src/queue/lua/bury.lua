-- bury: put jobs into the dead letter with their reason, if the caller still holds them.
--
-- KEYS[1] jobs     hash  id -> envelope
-- KEYS[2] leases   zset  id -> leased until, ms
-- KEYS[3] claims   hash  id -> claim
-- KEYS[4] held     hash  worker -> jobs it holds
-- KEYS[5] trail    hash  id -> how earlier attempts ended
-- KEYS[6] dead     zset  id -> died at, ms
-- KEYS[7] outcomes hash  id -> outcome
-- KEYS[8] cancels  hash  id -> who asked, and why
-- KEYS[9] unique   hash  unique key -> id
-- KEYS[10] stats   hash  counter -> value
-- ARGV[1] now, ms, or 0 for the server's
-- ARGV[2] most dead jobs to keep
-- ARGV[3] how long to keep them, ms
-- then per job: id, nonce, unique key or empty, outcome
-- RETURN  per job: 1 buried | 2 buried before | 0 the claim was lost to another worker
-- LIMIT   O(log N) per job; the caller sends at most 128
-- OOM     allowed: a failed job must not be lost because memory is short

local now = clock(ARGV[1])
local answers, buried = {}, 0
for i = 4, #ARGV, 4 do
  local id = ARGV[i]
  local claim = read_claim(redis.call('HGET', KEYS[3], id))
  local answer = standing(claim, ARGV[i + 1])
  if answer == 1 then
    release(KEYS[2], KEYS[4], id, claim)
    claim.held = false
    redis.call('HSET', KEYS[3], id, write_claim(claim))
    redis.call('HDEL', KEYS[8], id)
    free(KEYS[9], ARGV[i + 2], id)
    redis.call('HSETNX', KEYS[1], id, '')
    redis.call('ZADD', KEYS[6], now, id)
    redis.call('HSET', KEYS[7], id, ARGV[i + 3])
    buried = buried + 1
  end
  answers[#answers + 1] = answer
end
if buried > 0 then redis.call('HINCRBY', KEYS[10], 'dead', buried) end
local dropped = trim(KEYS[6], KEYS[1], KEYS[7], KEYS[3], KEYS[5], now - tonumber(ARGV[3]), tonumber(ARGV[2]), 256)
if dropped > 0 then redis.call('HINCRBY', KEYS[10], 'dead_dropped', dropped) end
return answers
