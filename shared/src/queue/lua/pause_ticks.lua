-- pause_ticks: write down that a schedule does not fire: since when, until when, who says so and why.
--
-- KEYS    schedule_pauses
-- LANES   none
-- ARGV[1] schedule
-- ARGV[2] since when, ms; until when, ms, or 0 until somebody resumes it; who and why, JSON
-- RETURN  OK
-- LIMIT   O(1)
-- OOM     allowed: a full Redis is when somebody may have to

call('HSET', k.schedule_pauses, ARGV[1], ARGV[2])
return 'OK'
