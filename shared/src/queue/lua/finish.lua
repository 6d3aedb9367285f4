-- finish: record that jobs came to their end, done or cancelled, if the caller still holds them.
--
-- KEYS[1] jobs     hash  id -> envelope
-- KEYS[2] leases   zset  id -> leased until, ms
-- KEYS[3] claims   hash  id -> claim
-- KEYS[4] held     hash  worker -> jobs it holds
-- KEYS[5] trail    hash  id -> how earlier attempts ended
-- KEYS[6] done     zset  id -> kept until, ms
-- KEYS[7] outcomes hash  id -> outcome
-- KEYS[8] cancels  hash  id -> who asked, and why
-- KEYS[9] unique   hash  unique key -> id
-- KEYS[10] stats   hash  counter -> value
-- ARGV[1] now, ms, or 0 for the server's
-- ARGV[2] most finished jobs to keep
-- then per job: id, nonce, keep ms, unique key or empty, counter, outcome
-- RETURN  per job: 1 recorded | 2 recorded before | 0 the claim was lost to another worker
-- LIMIT   O(log N) per job; the caller sends at most 128
-- OOM     allowed: it frees more than it takes

local now = clock(ARGV[1])
local room = tonumber(ARGV[2])
local answers, counted = {}, {}
-- Room for these first, so that a full Redis gets emptier by finishing.
trim(KEYS[6], KEYS[1], KEYS[7], KEYS[3], KEYS[5], now, math.max(0, room - (#ARGV - 2) / 6), 256)
for i = 3, #ARGV, 6 do
  local id, keep = ARGV[i], tonumber(ARGV[i + 2])
  local claim = read_claim(redis.call('HGET', KEYS[3], id))
  local answer = standing(claim, ARGV[i + 1])
  if answer == 1 then
    release(KEYS[2], KEYS[4], id, claim)
    redis.call('HDEL', KEYS[8], id)
    free(KEYS[9], ARGV[i + 3], id)
    if room > 0 and keep > 0 then
      claim.held = false
      redis.call('HSET', KEYS[3], id, write_claim(claim))
      redis.call('ZADD', KEYS[6], now + keep, id)
      redis.call('HSET', KEYS[7], id, ARGV[i + 5])
    else
      redis.call('HDEL', KEYS[1], id)
      redis.call('HDEL', KEYS[3], id)
      redis.call('HDEL', KEYS[5], id)
    end
    counted[ARGV[i + 4]] = (counted[ARGV[i + 4]] or 0) + 1
  end
  answers[#answers + 1] = answer
end
for counter, n in pairs(counted) do redis.call('HINCRBY', KEYS[10], counter, n) end
return answers
