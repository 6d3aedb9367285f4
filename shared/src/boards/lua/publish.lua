-- publish: puts figures where they are read, if they are newer than those that are there.
--
-- KEYS versions
-- EACH    where they are read
-- ARGV    the version, the figures, the template of all keys
-- RETURN  1 put there | 0 newer ones are there
-- LIMIT   O(1)
-- OOM     refused

local known = call('HGET', k.versions, EACH[1])
-- A key that somebody deleted, or that was evicted, is put there again.
if known and tonumber(ARGV[1]) < tonumber(known) and call('EXISTS', EACH[1]) == 1 then
  return 0
end
call('SET', EACH[1], ARGV[2])
call('HSET', k.versions, EACH[1], ARGV[1], '', ARGV[3])
return 1
