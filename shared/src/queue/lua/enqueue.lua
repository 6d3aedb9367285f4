-- enqueue: make jobs known, ready now or delayed.
--
-- KEYS[1] jobs     hash  id -> envelope
-- KEYS[2] delayed  zset  id -> due, ms
-- KEYS[3] done     zset  id -> kept until, ms
-- KEYS[4] dead     zset  id -> died at, ms
-- KEYS[5] unique   hash  unique key -> id
-- KEYS[6] classes  set   kinds seen in this queue
-- KEYS[7] stats    hash  counter -> value
-- KEYS[8..] ready  zset  id -> rank, one per class in this call
-- ARGV[1] now, ms, or 0 for the server's
-- ARGV[2] wake channel
-- ARGV[3] number of classes, followed by their names in the order of the ready keys
-- then per job: id, due ms (0: now), place of its class, unique key or empty, envelope
-- RETURN  per job: 1 put | 0 known already | the id that holds its unique key
-- LIMIT   O(log N) per job; the caller sends at most 128
-- OOM     refused at the door: a full Redis takes no new work

local now = clock(ARGV[1])
local classes = tonumber(ARGV[3])
local k = { jobs = KEYS[1], delayed = KEYS[2], done = KEYS[3], dead = KEYS[4], unique = KEYS[5] }
local answers, fresh, wake = {}, 0, false
local was_empty = {}
redis.call('SADD', KEYS[6], unpack(ARGV, 4, 3 + classes))
for i = 4 + classes, #ARGV, 5 do
  local ready, due = KEYS[7 + tonumber(ARGV[i + 2])], tonumber(ARGV[i + 1])
  -- Only the first job of an empty class wakes anybody: whoever sleeps has seen it empty.
  if was_empty[ready] == nil then was_empty[ready] = redis.call('EXISTS', ready) == 0 end
  local answer = put(k, ready, now, ARGV[i], due, ARGV[i + 3], ARGV[i + 4])
  if answer == 1 then
    fresh = fresh + 1
    wake = wake or (due <= now and was_empty[ready])
  end
  answers[#answers + 1] = answer
end
if fresh > 0 then redis.call('HINCRBY', KEYS[7], 'enqueued', fresh) end
if wake then redis.call('PUBLISH', ARGV[2], 'ready') end
return answers
