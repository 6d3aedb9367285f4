-- sweep: takes away values that stand no more, so that a plain GET does not find them either.
--
-- KEYS tags due stats
-- EACH    value and note of each value
-- ARGV    now, then the parameters of each value
-- RETURN  how many went
-- LIMIT   O(values and their tags), at most 128 values
-- OOM     allowed

local now, epoch, gone = clock(ARGV[1]), call('HGET', k.tags, ''), 0
for i = 1, #EACH / 2 do
  local value, note = EACH[i * 2 - 1], EACH[i * 2]
  local told = call('GET', note)
  if told and not stands(told, epoch, k.tags) then
    gone = gone + call('UNLINK', value)
    call('ZADD', k.due, 'XX', now, ARGV[1 + i])
  elseif not told and call('UNLINK', value) == 1 then
    gone = gone + 1
    call('ZADD', k.due, 'XX', now, ARGV[1 + i])
  end
end
if gone > 0 then call('HINCRBY', k.stats, 'swept', gone) end
return gone
