-- report: say that a worker is alive, and forget those that have not said so for long.
--
-- KEYS    workers worker_info
-- LANES   none
-- ARGV[1] now, ms, or 0 for the server's
-- ARGV[2] after how long a worker is gone, ms
-- ARGV[3] worker
-- ARGV[4] what it is
-- RETURN  OK
-- LIMIT   O(log N), and O(log N) for each of at most 100 that are forgotten
-- OOM     allowed: a worker must not look gone because memory is short

local now = clock(ARGV[1])
call('ZADD', k.workers, now, ARGV[3])
call('HSET', k.worker_info, ARGV[3], ARGV[4])
local gone = call('ZRANGEBYSCORE', k.workers, '-inf', now - tonumber(ARGV[2]), 'LIMIT', 0, 100)
if #gone > 0 then
  call('ZREM', k.workers, unpack(gone))
  call('HDEL', k.worker_info, unpack(gone))
end
return 'OK'
