-- epoch: begins a new epoch where the server is not the one that the last one began on, or the last one is lost, or the
-- clock is.
--
-- With the memory of a server goes what was known about invalidations, or comes back what was known long ago. Values
-- of an epoch that is over stand no more, and neither do leases.
--
-- KEYS clock tags dirty
-- EACH    none
-- ARGV    run id of the server, first transaction that may not be over yet
-- RETURN  1 a new one began | 0 the old one goes on
-- LIMIT   O(1)
-- OOM     allowed

local epoch = call('HGET', k.tags, '')
local goes_on = epoch and match(epoch, '^%d+ (%S+)') == ARGV[1] and call('EXISTS', k.clock) == 1
if goes_on then return 0 end
local count = tick(k.clock)
call('HSET', k.tags, '', count .. ' ' .. ARGV[1] .. ' ' .. ARGV[2])
call('SET', k.dirty, count)
return 1
