-- tick: fire one instant of a schedule, once, whoever asks and however often.
--
-- KEYS[1] jobs     hash  id -> envelope
-- KEYS[2] delayed  zset  id -> due, ms
-- KEYS[3] done     zset  id -> kept until, ms
-- KEYS[4] dead     zset  id -> died at, ms
-- KEYS[5] unique   hash  unique key -> id
-- KEYS[6] classes  set   kinds seen in this queue
-- KEYS[7] stats    hash  counter -> value
-- KEYS[8] ready    zset  id -> rank, of the job's class
-- KEYS[9] ticks    hash  schedule -> the last instant with a verdict, ms, and the schedule's identity
-- KEYS[10] tick jobs hash  schedule -> the last job it enqueued
-- KEYS[11] tick log  list  verdicts, newest first
-- KEYS[12] leases  zset  id -> leased until, ms
-- KEYS[13] outcomes hash  id -> outcome
-- KEYS[14] cancels hash  id -> who asked, and why
-- ARGV[1] now, ms, or 0 for the server's
-- ARGV[2] wake channel
-- ARGV[3] schedule
-- ARGV[4] instant, ms
-- ARGV[5] overlap: queue | skip | replace
-- ARGV[6] verdict if not empty: record it, enqueue nothing
-- ARGV[7] id
-- ARGV[8] due ms (0: now)
-- ARGV[9] class
-- ARGV[10] envelope
-- ARGV[11] outcome of a job that is replaced before it started
-- ARGV[12] how long to keep it, ms
-- ARGV[13] why a job that runs is asked to stop
-- ARGV[14] control channel
-- RETURN  fired | already | overlap | the verdict passed
-- LIMIT   O(log N); the log keeps 1,000 verdicts
-- OOM     refused at the door, as for any new work; the tick is late, not lost

local now = clock(ARGV[1])
local name, instant, id = ARGV[3], tonumber(ARGV[4]), ARGV[7]
local last, identity = string.match(redis.call('HGET', KEYS[9], name) or '', '^(%-?%d+)(.*)$')
last = tonumber(last)
-- Instants are judged in order, so one number per schedule is the whole memory of what has fired.
if last and last >= instant then return 'already' end

local function active(job)
  return job and redis.call('HEXISTS', KEYS[1], job) == 1
    and not redis.call('ZSCORE', KEYS[3], job) and not redis.call('ZSCORE', KEYS[4], job)
end

local verdict = ARGV[6]
if verdict == '' then
  local previous = redis.call('HGET', KEYS[10], name)
  if ARGV[5] == 'skip' and active(previous) then
    verdict = 'overlap'
  else
    if ARGV[5] == 'replace' and active(previous) then
      if redis.call('ZSCORE', KEYS[12], previous) then
        redis.call('HSET', KEYS[14], previous, ARGV[13])
        redis.call('PUBLISH', ARGV[14], previous)
      -- Where the schedule fired another class before, its job is not found here, and stays where it is.
      elseif redis.call('ZREM', KEYS[2], previous) + redis.call('ZREM', KEYS[8], previous) > 0 then
        redis.call('HDEL', KEYS[14], previous)
        redis.call('ZADD', KEYS[3], now + tonumber(ARGV[12]), previous)
        redis.call('HSET', KEYS[13], previous, ARGV[11])
      end
    end
    local k = { jobs = KEYS[1], delayed = KEYS[2], done = KEYS[3], dead = KEYS[4], unique = KEYS[5] }
    redis.call('SADD', KEYS[6], ARGV[9])
    if put(k, KEYS[8], now, id, tonumber(ARGV[8]), '', ARGV[10]) == 1 then
      redis.call('HINCRBY', KEYS[7], 'enqueued', 1)
    end
    redis.call('HSET', KEYS[10], name, id)
    redis.call('PUBLISH', ARGV[2], 'ready')
    verdict = 'fired'
  end
end
redis.call('HSET', KEYS[9], name, string.format('%.0f', instant) .. (identity or ''))
redis.call('LPUSH', KEYS[11], string.format('%.0f %.0f %s %s %s', now, instant, verdict, name, id))
redis.call('LTRIM', KEYS[11], 0, 999)
return verdict
