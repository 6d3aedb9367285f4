-- historian: bid to be the one who writes down what ended, or to remain it, and say that it is wanted.
--
-- KEYS    historian history_room
-- LANES   none
-- ARGV[1] who bids
-- ARGV[2] for how long, ms
-- ARGV[3] how many bytes may wait
-- ARGV[4] for how long that holds, should nobody bid again, ms
-- RETURN  1 it is the caller | 0 somebody else is
-- LIMIT   O(1)
-- OOM     allowed: it overwrites what is tiny

local holder = call('GET', k.historian)
if holder and holder ~= ARGV[1] then return 0 end
call('SET', k.historian, ARGV[1], 'PX', ARGV[2])
call('SET', k.history_room, ARGV[3], 'PX', ARGV[4])
return 1
