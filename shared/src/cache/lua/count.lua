-- count: what a reader has counted by itself.
--
-- KEYS stats hot
-- EACH    none
-- ARGV    number of counters, then name and by how much of each; then parameters and by how much of what is hot
-- RETURN  nothing
-- LIMIT   O(counters and samples), at most 256 samples
-- OOM     allowed

local counters = tonumber(ARGV[1])
for i = 1, counters do call('HINCRBY', k.stats, ARGV[i * 2], ARGV[i * 2 + 1]) end
for i = 2 + counters * 2, #ARGV, 2 do sample(k.hot, ARGV[i], tonumber(ARGV[i + 1])) end
