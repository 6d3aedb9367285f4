-- due: values whose time to be loaded again has come, as soon as there are enough of them or the first has waited for
-- long enough. They are due once more a little later, should whoever takes them die.
--
-- KEYS due
-- EACH    none
-- ARGV    now, most, due again in ms, for how long the first may wait for others, ms, how many are enough
-- RETURN  parameters of each, then in how many ms it is worth to look again, or -1, then for how long the first has
--         been due, ms
-- LIMIT   O(most log n), at most 32
-- OOM     allowed

local now, most, again = clock(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local patience, enough = tonumber(ARGV[4]), tonumber(ARGV[5])
local first = call('ZRANGE', k.due, 0, 0, 'WITHSCORES')
local late = math.max(0, now - (tonumber(first[2]) or now))
if first[2] and tonumber(first[2]) <= now and late < patience and call('ZCOUNT', k.due, '-inf', now) < enough then
  return { string.format('%.0f', math.ceil(patience - late)), string.format('%.0f', late) }
end
local found = call('ZRANGEBYSCORE', k.due, '-inf', now, 'LIMIT', 0, most)
local later = {}
for i, params in ipairs(found) do
  later[i * 2 - 1], later[i * 2] = now + again, params
end
if #later > 0 then call('ZADD', k.due, 'XX', unpack(later)) end
local next = call('ZRANGE', k.due, 0, 0, 'WITHSCORES')
found[#found + 1] = next[2] and string.format('%.0f', math.max(0, tonumber(next[2]) - now)) or '-1'
found[#found + 1] = string.format('%.0f', late)
return found
