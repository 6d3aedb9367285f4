-- sweep: forget ended jobs that there is no longer room or time for, also where nothing ends any more.
--
-- KEYS[1] jobs     hash  id -> envelope
-- KEYS[2] outcomes hash  id -> outcome
-- KEYS[3] claims   hash  id -> claim
-- KEYS[4] trail    hash  id -> how earlier attempts ended
-- KEYS[5] done     zset  id -> kept until, ms
-- KEYS[6] dead     zset  id -> died at, ms
-- KEYS[7] stats    hash  counter -> value
-- ARGV[1] now, ms, or 0 for the server's
-- ARGV[2] most done jobs to keep
-- ARGV[3] most dead jobs to keep
-- ARGV[4] how long to keep dead jobs, ms
-- ARGV[5] most jobs to forget for each of these reasons
-- RETURN  how many jobs were forgotten
-- LIMIT   O(log N) per job; the caller asks for at most 128
-- OOM     allowed: it frees

local now, most = clock(ARGV[1]), tonumber(ARGV[5])
local done = trim(KEYS[5], KEYS[1], KEYS[2], KEYS[3], KEYS[4], now, tonumber(ARGV[2]), most)
local dead =
  trim(KEYS[6], KEYS[1], KEYS[2], KEYS[3], KEYS[4], now - tonumber(ARGV[4]), tonumber(ARGV[3]), most)
if dead > 0 then redis.call('HINCRBY', KEYS[7], 'dead_dropped', dead) end
return done + dead
