-- sweep: takes away values that stand no more, so that a plain GET does not find them either.
--
-- KEYS tags due once stats
-- EACH    value and note of each value
-- ARGV    now, then the parameters of each value
-- RETURN  how many went
-- LIMIT   O(values and their tags), at most 128 values
-- OOM     allowed

local now, gone = clock(ARGV[1]), 0
for i = 1, #EACH / 2 do
  local value, note = EACH[i * 2 - 1], EACH[i * 2]
  local told = call('GET', note)
  if not (told and stands(told, select(4, noted(told)), k.tags)) and call('UNLINK', value) == 1 then
    gone = gone + 1
    -- What was there comes back at once.
    call('ZADD', k.due, now, ARGV[1 + i])
    call('ZREM', k.once, ARGV[1 + i])
  end
end
if gone > 0 then call('HINCRBY', k.stats, 'swept', gone) end
return gone
