-- tell: write down how a process and its machine are in this minute, in the place of what it said before.
--
-- KEYS vitals
-- EACH    none
-- ARGV    the process, how it is, how long that is kept, ms, and how many processes may tell
-- RETURN  1 it is written | 0 too many tell already
-- LIMIT   O(1)
-- OOM     allowed: how much there can be is known (minutes/mod.rs), and a full Redis is when people look

if call('HEXISTS', k.vitals, ARGV[1]) == 0 and call('HLEN', k.vitals) >= tonumber(ARGV[4]) then return 0 end
call('HSET', k.vitals, ARGV[1], ARGV[2])
call('PEXPIRE', k.vitals, ARGV[3])
return 1
