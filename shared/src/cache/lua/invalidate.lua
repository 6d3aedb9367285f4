-- invalidate: says that a transaction changed what these values, or all values with these tags, are made of.
--
-- The values go at once; whoever is loading one of them has to have seen the transaction. Of a tag only the mark
-- changes, however many values have it: readers with the whole protocol see that, and sweeping takes the values away.
--
-- KEYS clock tags tag_ends due once dirty stats
-- EACH    value, note and guard of each value
-- ARGV    now, how long marks of values are kept, ms, the same of tags, then for each value its parameters or '' where
--         nobody knows them, and the transaction or `!`, then for each tag its name, and the transaction or `!`
-- RETURN  how many of the values were there
-- LIMIT   O(values + tags), at most 128 together
-- OOM     allowed

local now, keep_ms, keep_tags_ms = clock(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local count = tick(k.clock)
local values, there = #EACH / 3, 0
for i = 1, values do
  local value, note, guard = EACH[i * 3 - 2], EACH[i * 3 - 1], EACH[i * 3]
  call('HSET', guard, 'mark', marked(call('HGET', guard, 'mark') or nil, count, ARGV[3 + i * 2]))
  if call('PTTL', guard) < keep_ms then call('PEXPIRE', guard, keep_ms) end
  local was_there, params = call('UNLINK', value), ARGV[2 + i * 2]
  there = there + was_there
  call('UNLINK', note)
  -- What was there comes back at once.
  if params ~= '' and (was_there == 1 or call('ZSCORE', k.due, params)) then
    call('ZADD', k.due, now, params)
    call('ZREM', k.once, params)
  end
end
if there > 0 then call('HINCRBY', k.stats, 'invalidated', there) end
for i = 4 + values * 2, #ARGV, 2 do
  local tag = ARGV[i]
  call('HSET', k.tags, tag, marked(call('HGET', k.tags, tag) or nil, count, ARGV[i + 1]))
  call('ZADD', k.tag_ends, 'GT', now + keep_tags_ms, tag)
  call('SET', k.dirty, count)
end
return there
