-- change: remembers something else of a trouble, where nobody else has changed it meanwhile.
--
-- KEYS troubles
-- EACH    none
-- ARGV    the trouble, what is remembered of it or '', what is to be or ''
-- RETURN  1 so it is | 0 it is something else
-- LIMIT   O(1)
-- OOM     allowed

local known = call('HGET', k.troubles, ARGV[1]) or ''
-- The answer was lost, and the call came again.
if known == ARGV[3] then return 1 end
if known ~= ARGV[2] then return 0 end
if ARGV[3] == '' then
  call('HDEL', k.troubles, ARGV[1])
else
  call('HSET', k.troubles, ARGV[1], ARGV[3])
end
return 1
