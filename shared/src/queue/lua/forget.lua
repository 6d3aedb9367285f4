-- forget: delete jobs from the dead letter for good.
--
-- KEYS    dead jobs outcomes claims trail notes logs counts bytes stats
-- LANES   none
-- ARGV    ids
-- RETURN  per job: 1 deleted | 0 not in the dead letter
-- LIMIT   O(log N) per job; the caller sends at most 128
-- OOM     allowed: it frees

local answers, found = {}, {}
for i, id in ipairs(ARGV) do
  answers[i] = call('ZSCORE', k.dead, id) and 1 or 0
  if answers[i] == 1 then found[#found + 1] = id end
end
local gone = drop_dead(k, found)
if gone > 0 then call('HINCRBY', k.stats, 'dead_deleted', gone) end
return answers
