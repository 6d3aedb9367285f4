-- count: how many jobs are where, at one instant. Changes nothing.
--
-- KEYS    delayed open dead inbox gone parked blocked counts bytes
-- LANES   all lanes
-- ARGV    names of the lanes
-- RETURN  {delayed, running, done, dead, in the inbox, parked, waiting for others, entries of jobs that left,
--         bytes, jobs per lane...}
-- LIMIT   O(1) per lane, and per claim whose jobs have not all ended
-- OOM     allowed: it only reads. A transaction would be refused, and this is when people look

local running = 0
for _, n in ipairs(call('HVALS', k.open)) do running = running + tonumber(n) end
local sizes = {
  call('ZCARD', k.delayed), running, tonumber(call('HGET', k.counts, 'done') or '0'),
  call('ZCARD', k.dead), call('LLEN', k.inbox), call('ZCARD', k.parked),
  call('HLEN', k.blocked), tonumber(call('HGET', k.gone, '') or '0'),
  tonumber(call('GET', k.bytes) or '0'),
}
for i, lane in ipairs(LANES) do
  local shared = string.find(ARGV[i], '~', 1, true)
  sizes[#sizes + 1] = call(shared and 'ZCARD' or 'LLEN', lane)
end
return sizes
