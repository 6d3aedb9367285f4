-- park: put an entry that is not a readable job into the dead letter, alone and as it was.
--
-- KEYS[1] jobs     hash  id -> envelope
-- KEYS[2] delayed  zset  id -> due, ms
-- KEYS[3] dead     zset  id -> died at, ms
-- KEYS[4] outcomes hash  id -> outcome
-- KEYS[5] stats    hash  counter -> value
-- ARGV[1] now, ms, or 0 for the server's
-- then per entry: id, outcome
-- RETURN  how many were parked
-- LIMIT   O(log N) per entry; the caller sends at most 128
-- OOM     allowed: it moves, it adds only the reason

local now = clock(ARGV[1])
local parked = 0
for i = 2, #ARGV, 2 do
  if redis.call('ZREM', KEYS[2], ARGV[i]) == 1 then
    redis.call('HSETNX', KEYS[1], ARGV[i], '')
    redis.call('ZADD', KEYS[3], now, ARGV[i])
    redis.call('HSET', KEYS[4], ARGV[i], ARGV[i + 1])
    parked = parked + 1
  end
end
if parked > 0 then redis.call('HINCRBY', KEYS[5], 'dead', parked) end
return parked
