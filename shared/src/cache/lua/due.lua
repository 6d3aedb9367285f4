-- due: values whose time to be loaded again has come. They are due once more a little later, should whoever takes
-- them die.
--
-- KEYS due
-- EACH    none
-- ARGV    now, most, due again in ms
-- RETURN  parameters of each, then when the next is due, ms, or -1
-- LIMIT   O(most log n), at most 1,000
-- OOM     allowed

local now, most, again = clock(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local found = call('ZRANGEBYSCORE', k.due, '-inf', now, 'LIMIT', 0, most)
for _, params in ipairs(found) do call('ZADD', k.due, 'XX', now + again, params) end
local next = call('ZRANGE', k.due, 0, 0, 'WITHSCORES')
found[#found + 1] = next[2] and string.format('%.0f', tonumber(next[2])) or '-1'
return found
