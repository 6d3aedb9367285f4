-- pause: stop handing out jobs of a queue.
--
-- KEYS[1] paused   string  who paused the queue, and why
-- ARGV[1] who, why and when
-- RETURN  OK
-- LIMIT   O(1)
-- OOM     allowed: a full Redis is when somebody may have to

return redis.call('SET', KEYS[1], ARGV[1])
