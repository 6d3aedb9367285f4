-- intake: move entries from the inbox, where any language may push, to where they belong.
--
-- KEYS[1] jobs     hash  id -> envelope
-- KEYS[2] delayed  zset  id -> due, ms
-- KEYS[3] done     zset  id -> kept until, ms
-- KEYS[4] dead     zset  id -> died at, ms
-- KEYS[5] unique   hash  unique key -> id
-- KEYS[6] classes  set   kinds seen in this queue
-- KEYS[7] stats    hash  counter -> value
-- KEYS[8] inbox    list  envelopes as they were pushed
-- KEYS[9] outcomes hash  id -> outcome
-- KEYS[10..] ready zset  id -> rank, one per class in this call
-- ARGV[1] now, ms, or 0 for the server's
-- ARGV[2] wake channel
-- ARGV[3] number of classes, followed by their names in the order of the ready keys
-- then per entry: as pushed, id, due ms, place of its class or 0 if it cannot be read,
--                 unique key or empty, envelope, or the outcome if it cannot be read
-- RETURN  how many entries left the inbox
-- LIMIT   O(log N) per entry; the caller sends at most 128
-- OOM     refused at the door, as for any new work; the entries stay in the inbox

local now = clock(ARGV[1])
local classes = tonumber(ARGV[3])
local k = { jobs = KEYS[1], delayed = KEYS[2], done = KEYS[3], dead = KEYS[4], unique = KEYS[5] }
local moved, fresh, dead, wake = 0, 0, 0, false
if classes > 0 then redis.call('SADD', KEYS[6], unpack(ARGV, 4, 3 + classes)) end
for i = 4 + classes, #ARGV, 6 do
  -- Several workers drain the inbox: the head must still be the entry that the caller read.
  if redis.call('LINDEX', KEYS[8], 0) ~= ARGV[i] then break end
  redis.call('LPOP', KEYS[8])
  moved = moved + 1
  local id, place = ARGV[i + 1], tonumber(ARGV[i + 3])
  if place == 0 then
    redis.call('HSET', KEYS[1], id, ARGV[i])
    redis.call('ZADD', KEYS[4], now, id)
    redis.call('HSET', KEYS[9], id, ARGV[i + 5])
    dead = dead + 1
  elseif put(k, KEYS[9 + place], now, id, tonumber(ARGV[i + 2]), ARGV[i + 4], ARGV[i + 5]) == 1 then
    fresh = fresh + 1
    wake = true
  end
end
if fresh > 0 then redis.call('HINCRBY', KEYS[7], 'enqueued', fresh) end
if dead > 0 then redis.call('HINCRBY', KEYS[7], 'dead', dead) end
if wake then redis.call('PUBLISH', ARGV[2], 'ready') end
return moved
