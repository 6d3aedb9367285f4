-- pause: write down who stopped something, and why: the handing out of jobs, or the door to new ones.
--
-- KEYS    paused door
-- LANES   none
-- ARGV[1] paused | door
-- ARGV[2] who, why and when
-- RETURN  OK
-- LIMIT   O(1)
-- OOM     allowed: a full Redis is when somebody may have to

return call('SET', k[ARGV[1]], ARGV[2])
