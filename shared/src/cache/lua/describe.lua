-- describe: changes what readers are told about a warmer, unless somebody else has changed it meanwhile.
--
-- KEYS warmers
-- EACH    none
-- ARGV    the warmer, what they were told or '', what they are to be told
-- RETURN  1 they are told | 0 they were told something else
-- LIMIT   O(1)
-- OOM     refused

local told = call('HGET', k.warmers, ARGV[1]) or ''
-- The same call may come twice.
if told == ARGV[3] then return 1 end
if told ~= ARGV[2] then return 0 end
call('HSET', k.warmers, ARGV[1], ARGV[3])
return 1
