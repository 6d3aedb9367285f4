-- written: take what is written out of the history that waits, and say what had to go unwritten.
--
-- KEYS    history counts
-- LANES   none
-- ARGV    per entry: its place in the stream, the bytes that it counts for
-- RETURN  how many jobs had to go for others since this was asked last
-- LIMIT   O(1) per entry; the caller sends at most 512
-- OOM     allowed: it frees

local freed = 0
for i = 1, #ARGV, 2 do
  if call('XDEL', k.history, ARGV[i]) == 1 then freed = freed + tonumber(ARGV[i + 1]) end
end
if call('XLEN', k.history) == 0 then
  call('HDEL', k.counts, 'history_bytes')
elseif freed > 0 then
  call('HINCRBY', k.counts, 'history_bytes', -freed)
end
local dropped = call('HGET', k.counts, 'history_dropped')
if dropped then call('HDEL', k.counts, 'history_dropped') end
return tonumber(dropped or '0')
