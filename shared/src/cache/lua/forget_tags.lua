-- forget_tags: forgets marks of tags that no value can have any more.
--
-- KEYS tags tag_ends
-- EACH    none
-- ARGV    now, most
-- RETURN  how many were forgotten
-- LIMIT   O(most log n), at most 1,000
-- OOM     allowed

local ended = call('ZRANGEBYSCORE', k.tag_ends, '-inf', clock(ARGV[1]), 'LIMIT', 0, tonumber(ARGV[2]))
for _, tag in ipairs(ended) do
  call('HDEL', k.tags, tag)
  call('ZREM', k.tag_ends, tag)
end
return #ended
