-- cancel: stop a job, wherever it is.
--
-- KEYS    jobs delayed claims cancels done counts outcomes dead unique locks gone blocked links shares serving
--         trail notes logs waiters stats bytes history history_room
-- LANES   where jobs stand in line that waited for this one to have ended
-- ARGV[1] now, ms, or 0 for the server's
-- ARGV[2] id
-- ARGV[3] who asked, and why
-- ARGV[4] outcome, if it had not started
-- ARGV[5] how long to keep it, ms
-- ARGV[6] unique key or empty
-- ARGV[7] control channel
-- ARGV[8] wake channel
-- ARGV[9] channel of ends
-- then per job that waits for this one to have ended: `child place share`
-- RETURN  cancelled (it had not started) | asked (it runs) | done | dead | unknown
-- LIMIT   O(log N)
-- OOM     allowed: it frees more than it takes

k.ended = ARGV[9]
local now, id = clock(ARGV[1]), ARGV[2]
if call('HEXISTS', k.jobs, id) == 0 then return 'unknown' end
if call('ZSCORE', k.dead, id) then return 'dead' end
if call('HEXISTS', k.outcomes, id) == 1 then return 'done' end
local claim = call('HGET', k.claims, id)
if is_held(read_claim(claim)) then
  call('HSET', k.cancels, id, ARGV[3])
  call('PUBLISH', ARGV[7], id)
  return 'asked'
end
if call('ZREM', k.delayed, id) == 0 and call('HDEL', k.blocked, id) == 0 then leave(k, id, now) end
tell_end(k, id, claim, ARGV[4])
call('HDEL', k.cancels, id)
call('HDEL', k.claims, id)
call('HDEL', k.locks, id)
free(k, ARGV[6], id)
call('HSET', k.outcomes, id, ARGV[4])
call('INCRBY', k.bytes, #ARGV[4])
keep_done(k, now + tonumber(ARGV[5]), { id }, size_of(k, id))
call('HINCRBY', k.stats, 'cancelled', 1)
for i = 10, #ARGV do
  local child, place, share = match(ARGV[i], '^(%S+) (%d+) ?(%S*)$')
  follow_on(k, now, id, child, LANES[tonumber(place)], share, ARGV[8])
end
tell_waiters(k, { id })
return 'cancelled'
