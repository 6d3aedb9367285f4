-- revive: take jobs out of the dead letter and make them ready, with a clean count.
--
-- KEYS[1] dead     zset  id -> died at, ms
-- KEYS[2] outcomes hash  id -> outcome
-- KEYS[3] claims   hash  id -> claim
-- KEYS[4] classes  set   kinds seen in this queue
-- KEYS[5] stats    hash  counter -> value
-- KEYS[6] jobs     hash  id -> envelope
-- KEYS[7] done     zset  id -> kept until, ms
-- KEYS[8] unique   hash  unique key -> id
-- KEYS[9..] ready  zset  id -> rank, one per class in this call
-- ARGV[1] now, ms, or 0 for the server's
-- ARGV[2] wake channel
-- ARGV[3] number of classes, followed by their names in the order of the ready keys
-- then per job: id, place of its class, unique key or empty
-- RETURN  per job: 1 ready again | 0 not in the dead letter, or another live job has its unique key
-- LIMIT   O(log N) per job; the caller sends at most 128
-- OOM     allowed: it moves, it does not add

local now = clock(ARGV[1])
local classes = tonumber(ARGV[3])
local answers, revived = {}, 0
redis.call('SADD', KEYS[4], unpack(ARGV, 4, 3 + classes))

-- As in put.lua: a lock never outlives its job.
local function taken(key, id)
  local holder = key ~= '' and redis.call('HGET', KEYS[8], key)
  return holder and holder ~= id and redis.call('HEXISTS', KEYS[6], holder) == 1
    and not redis.call('ZSCORE', KEYS[7], holder) and not redis.call('ZSCORE', KEYS[1], holder)
end

for i = 4 + classes, #ARGV, 3 do
  local id, key = ARGV[i], ARGV[i + 2]
  local found = taken(key, id) and 0 or redis.call('ZREM', KEYS[1], id)
  if found == 1 then
    redis.call('HDEL', KEYS[2], id)
    redis.call('HDEL', KEYS[3], id)
    if key ~= '' then redis.call('HSET', KEYS[8], key, id) end
    redis.call('ZADD', KEYS[8 + tonumber(ARGV[i + 1])], now, id)
    revived = revived + 1
  end
  answers[#answers + 1] = found
end
if revived > 0 then
  redis.call('HINCRBY', KEYS[5], 'revived', revived)
  redis.call('PUBLISH', ARGV[2], 'ready')
end
return answers
