-- cancel: stop a job, wherever it is.
--
-- KEYS[1] jobs     hash  id -> envelope
-- KEYS[2] delayed  zset  id -> due, ms
-- KEYS[3] leases   zset  id -> leased until, ms
-- KEYS[4] cancels  hash  id -> who asked, and why
-- KEYS[5] done     zset  id -> kept until, ms
-- KEYS[6] dead     zset  id -> died at, ms
-- KEYS[7] outcomes hash  id -> outcome
-- KEYS[8] unique   hash  unique key -> id
-- KEYS[9] stats    hash  counter -> value
-- KEYS[10] ready   zset  id -> rank, of the job's class
-- ARGV[1] now, ms, or 0 for the server's
-- ARGV[2] id
-- ARGV[3] who asked, and why
-- ARGV[4] outcome, if it had not started
-- ARGV[5] how long to keep it, ms
-- ARGV[6] unique key or empty
-- ARGV[7] control channel
-- RETURN  cancelled (it had not started) | asked (it runs) | done | dead | unknown (or of another class)
-- LIMIT   O(log N)
-- OOM     allowed: it frees more than it takes

local id = ARGV[2]
if redis.call('HEXISTS', KEYS[1], id) == 0 then return 'unknown' end
if redis.call('ZSCORE', KEYS[5], id) then return 'done' end
if redis.call('ZSCORE', KEYS[6], id) then return 'dead' end
if redis.call('ZSCORE', KEYS[3], id) then
  redis.call('HSET', KEYS[4], id, ARGV[3])
  redis.call('PUBLISH', ARGV[7], id)
  return 'asked'
end
if redis.call('ZREM', KEYS[2], id) + redis.call('ZREM', KEYS[10], id) == 0 then return 'unknown' end
redis.call('HDEL', KEYS[4], id)
free(KEYS[8], ARGV[6], id)
redis.call('ZADD', KEYS[5], clock(ARGV[1]) + tonumber(ARGV[5]), id)
redis.call('HSET', KEYS[7], id, ARGV[4])
redis.call('HINCRBY', KEYS[9], 'cancelled', 1)
return 'cancelled'
