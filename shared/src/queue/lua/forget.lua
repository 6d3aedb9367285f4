-- forget: delete jobs from the dead letter for good.
--
-- KEYS[1] dead     zset  id -> died at, ms
-- KEYS[2] jobs     hash  id -> envelope
-- KEYS[3] outcomes hash  id -> outcome
-- KEYS[4] claims   hash  id -> claim
-- KEYS[5] trail    hash  id -> how earlier attempts ended
-- KEYS[6] stats    hash  counter -> value
-- ARGV    ids
-- RETURN  per job: 1 deleted | 0 not in the dead letter
-- LIMIT   O(log N) per job; the caller sends at most 128
-- OOM     allowed: it frees

local answers, gone = {}, 0
for i, id in ipairs(ARGV) do
  local found = redis.call('ZREM', KEYS[1], id)
  if found == 1 then
    for key = 2, 5 do redis.call('HDEL', KEYS[key], id) end
    gone = gone + 1
  end
  answers[i] = found
end
if gone > 0 then redis.call('HINCRBY', KEYS[6], 'dead_deleted', gone) end
return answers
