-- tick: fire one instant of a schedule, once, whoever asks and however often.
--
-- KEYS    jobs delayed outcomes claims unique windows locks gone shares serving blocked links lanes bytes door stats
--         ticks tick_jobs tick_log cancels done counts trail notes logs history history_room
-- LANES   where the job stands in line
-- ARGV[1] now, ms, or 0 for the server's
-- ARGV[2] wake channel
-- ARGV[3] control channel
-- ARGV[4] most open jobs in the queue, or 0
-- ARGV[5] most bytes in the queue, or 0
-- ARGV[6] schedule
-- ARGV[7] instant, ms
-- ARGV[8] overlap: queue | skip | replace
-- ARGV[9] verdict if not empty: record it, enqueue nothing
-- ARGV[10] id
-- ARGV[11] name of its lane
-- ARGV[12] spec (see parts/put.lua)
-- ARGV[13] envelope
-- ARGV[14] outcome of a job that is replaced before it started
-- ARGV[15] how long to keep it, ms
-- ARGV[16] why a job that runs is asked to stop
-- ARGV[17] why it is not to fire, in a line, or empty
-- RETURN  fired | already | overlap | full | closed | the verdict passed
-- LIMIT   O(log N); the log keeps 1,000 verdicts
-- OOM     refused at the door, as for any new work; the tick is late, not lost

local now = clock(ARGV[1])
local name, instant, id = ARGV[6], tonumber(ARGV[7]), ARGV[10]
local last, identity = match(call('HGET', k.ticks, name) or '', '^(%-?%d+)(.*)$')
last = tonumber(last)
-- Instants are judged in order, so one number per schedule is the whole memory of what has fired.
if last and last >= instant then return 'already' end

-- Takes the job of an earlier tick away before it starts, or asks it to stop.
local function replace(job)
  if is_held(read_claim(call('HGET', k.claims, job))) then
    call('HSET', k.cancels, job, ARGV[16])
    call('PUBLISH', ARGV[3], job)
    return
  end
  if call('ZREM', k.delayed, job) == 0 and call('HDEL', k.blocked, job) == 0 then leave(k, job, now) end
  tell_end(k, job, call('HGET', k.claims, job), ARGV[14])
  call('HDEL', k.locks, job)
  call('HDEL', k.claims, job)
  call('HSET', k.outcomes, job, ARGV[14])
  call('INCRBY', k.bytes, #ARGV[14])
  keep_done(k, now + tonumber(ARGV[15]), { job }, size_of(k, job))
end

local verdict = ARGV[9]
if verdict == '' then
  if call('EXISTS', k.door) == 1 then return 'closed' end
  local previous = call('HGET', k.tick_jobs, name)
  local active = previous and is_open(k, previous)
  if ARGV[8] == 'skip' and active then
    verdict = 'overlap'
  else
    if ARGV[8] == 'replace' and active then replace(previous) end
    local room = room_in(k, tonumber(ARGV[4]), tonumber(ARGV[5]))
    local job = { id = id, spec = ARGV[12], envelope = ARGV[13], separator = ' ', share = '' }
    local answer = put(k, now, job, room)
    if answer == -1 or answer == -2 then return 'full' end
    if answer == 1 then join(k, LANES[1], rank_of(now) .. job.separator .. id, job.share) end
    if answer == 1 or answer == 2 or answer == 3 then
      call('SADD', k.lanes, ARGV[11])
      call('INCRBY', k.bytes, room.used)
      call('HINCRBY', k.stats, 'enqueued', 1)
    end
    call('HSET', k.tick_jobs, name, id)
    call('PUBLISH', ARGV[2], ARGV[11])
    verdict = 'fired'
  end
end
call('HSET', k.ticks, name, string.format('%.0f', instant) .. (identity or ''))
local why = ARGV[17] == '' and '' or ' ' .. ARGV[17]
call('LPUSH', k.tick_log, string.format('%.0f %.0f %s %s %s%s', now, instant, verdict, name, id, why))
call('LTRIM', k.tick_log, 0, 999)
return verdict
