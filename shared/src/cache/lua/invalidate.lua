-- invalidate: says that a transaction changed what these values, or all values with these tags, are made of.
--
-- The values go at once; whoever is loading one of them has to have seen the transaction. Of a tag only the mark
-- changes, however many values have it: readers with the whole protocol see that, and sweeping takes the values away.
--
-- KEYS clock tags tag_ends due dirty stats
-- EACH    value, note and guard of each value
-- ARGV    now, transaction or `!`, how long marks of values are kept, ms, the same of tags, then the parameters of
--         each value or '' where nobody knows them, then tags
-- RETURN  how many of the values were there
-- LIMIT   O(values + tags), at most 128 together
-- OOM     allowed

local now, xid, keep_ms, keep_tags_ms = clock(ARGV[1]), ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local count = tick(k.clock)
local values, there = #EACH / 3, 0
for i = 1, values do
  local value, note, guard = EACH[i * 3 - 2], EACH[i * 3 - 1], EACH[i * 3]
  call('HSET', guard, 'mark', marked(call('HGET', guard, 'mark') or nil, count, xid))
  if call('PTTL', guard) < keep_ms then call('PEXPIRE', guard, keep_ms) end
  there = there + call('UNLINK', value)
  call('UNLINK', note)
  local params = ARGV[4 + i]
  -- What is kept warm comes back at once.
  if params ~= '' then call('ZADD', k.due, 'XX', now, params) end
end
if there > 0 then call('HINCRBY', k.stats, 'invalidated', there) end
for i = 5 + values, #ARGV do
  local tag = ARGV[i]
  call('HSET', k.tags, tag, marked(call('HGET', k.tags, tag) or nil, count, xid))
  call('ZADD', k.tag_ends, 'GT', now + keep_tags_ms, tag)
  call('SET', k.dirty, count)
end
return there
