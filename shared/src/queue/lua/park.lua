-- park: put a delayed entry that is not a readable job into the dead letter, alone and as it was.
--
-- KEYS    jobs delayed dead counts outcomes claims trail notes logs stats bytes history history_room
-- LANES   none
-- ARGV[1] now, ms, or 0 for the server's
-- then per entry: id, outcome
-- RETURN  how many were parked
-- LIMIT   O(log N) per entry; the caller sends at most 128
-- OOM     allowed: it moves, it adds only the reason

local now = clock(ARGV[1])
local parked = 0
for i = 2, #ARGV, 2 do
  if call('ZREM', k.delayed, ARGV[i]) == 1 then
    tell_end(k, ARGV[i], call('HGET', k.claims, ARGV[i]), ARGV[i + 1])
    keep_dead(k, now, ARGV[i], ARGV[i + 1])
    parked = parked + 1
  end
end
if parked > 0 then call('HINCRBY', k.stats, 'dead', parked) end
return parked
