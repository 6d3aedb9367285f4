-- count: add what one worker did within a few seconds to the minute, and to the quarter of an hour.
--
-- KEYS minute quarter
-- EACH    none
-- ARGV    how long the one and the other is kept, ms; then pairs: a counter, and by how much it grows
-- RETURN  OK
-- LIMIT   O(counters); there are 218
-- OOM     allowed: how much there can be is known (minutes/mod.rs), and a full Redis is when people look

for i = 3, #ARGV, 2 do
  call('HINCRBY', k.minute, ARGV[i], ARGV[i + 1])
  call('HINCRBY', k.quarter, ARGV[i], ARGV[i + 1])
end
call('PEXPIRE', k.minute, ARGV[1])
call('PEXPIRE', k.quarter, ARGV[2])
return 'OK'
