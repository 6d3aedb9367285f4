-- report: say that a worker is alive, and forget those that have not said so for long.
--
-- KEYS[1] workers     zset  worker -> last seen, ms
-- KEYS[2] worker info hash  worker -> what it is
-- ARGV[1] now, ms, or 0 for the server's
-- ARGV[2] after how long a worker is gone, ms
-- ARGV[3] worker
-- ARGV[4] what it is
-- RETURN  OK
-- LIMIT   O(log N), and O(log N) for each of at most 100 that are forgotten
-- OOM     allowed: a worker must not look gone because memory is short

local now = clock(ARGV[1])
redis.call('ZADD', KEYS[1], now, ARGV[3])
redis.call('HSET', KEYS[2], ARGV[3], ARGV[4])
local gone = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now - tonumber(ARGV[2]), 'LIMIT', 0, 100)
if #gone > 0 then
  redis.call('ZREM', KEYS[1], unpack(gone))
  redis.call('HDEL', KEYS[2], unpack(gone))
end
return 'OK'
