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
local count = (#ARGV - 2) / 6
local answers, counted, let_go = {}, {}, {}
-- Room for these first, so that a full Redis gets emptier by finishing.
trim(KEYS[6], KEYS[1], KEYS[7], KEYS[3], KEYS[5], now, math.max(0, room - count), 256)

local ids = {}
for i = 1, count do ids[i] = ARGV[6 * i - 3] end
local claims = redis.call('HMGET', KEYS[3], unpack(ids))
-- One command for all jobs instead of one per job: a batch costs little more than a job.
local ended, gone, kept_claims, kept_until, outcomes = {}, {}, {}, {}, {}
for i, id in ipairs(ids) do
  local keep, counter = tonumber(ARGV[6 * i - 1]), ARGV[6 * i + 1]
  local claim = read_claim(claims[i])
  local answer = standing(claim, ARGV[6 * i - 2])
  if answer == 1 and not let_go[id] then
    let_go[id] = claim.worker
    ended[#ended + 1] = id
    free(KEYS[9], ARGV[6 * i], id)
    if room > 0 and keep > 0 then
      claim.held = false
      local n = #outcomes
      kept_claims[n + 1], kept_claims[n + 2] = id, write_claim(claim)
      kept_until[n + 1], kept_until[n + 2] = now + keep, id
      outcomes[n + 1], outcomes[n + 2] = id, ARGV[6 * i + 2]
    else
      gone[#gone + 1] = id
    end
    counted[counter] = (counted[counter] or 0) + 1
  end
  answers[i] = answer
end
if #ended > 0 then
  redis.call('ZREM', KEYS[2], unpack(ended))
  redis.call('HDEL', KEYS[8], unpack(ended))
  release_all(KEYS[4], let_go)
end
if #outcomes > 0 then
  redis.call('HSET', KEYS[3], unpack(kept_claims))
  redis.call('ZADD', KEYS[6], unpack(kept_until))
  redis.call('HSET', KEYS[7], unpack(outcomes))
end
if #gone > 0 then
  redis.call('HDEL', KEYS[1], unpack(gone))
  redis.call('HDEL', KEYS[3], unpack(gone))
  redis.call('HDEL', KEYS[5], unpack(gone))
end
for counter, n in pairs(counted) do redis.call('HINCRBY', KEYS[10], counter, n) end
return answers
