-- promote: make delayed jobs ready.
--
-- KEYS[1] delayed  zset  id -> due, ms
-- KEYS[2] classes  set   kinds seen in this queue
-- KEYS[3..] ready  zset  id -> rank, one per class in this call
-- ARGV[1] wake channel
-- ARGV[2] only jobs due at or before this instant, ms, or +inf
-- ARGV[3] number of classes, followed by their names in the order of the ready keys
-- then per job: id, place of its class
-- RETURN  how many became ready
-- LIMIT   O(log N) per job; the caller sends at most 128
-- OOM     allowed: it moves, it does not add

local classes = tonumber(ARGV[3])
local latest = ARGV[2] == '+inf' and math.huge or tonumber(ARGV[2])
local moved, wake = 0, false
redis.call('SADD', KEYS[2], unpack(ARGV, 4, 3 + classes))
for i = 4 + classes, #ARGV, 2 do
  local due = redis.call('ZSCORE', KEYS[1], ARGV[i])
  if due and tonumber(due) <= latest then
    local ready = KEYS[2 + tonumber(ARGV[i + 1])]
    redis.call('ZREM', KEYS[1], ARGV[i])
    redis.call('ZADD', ready, due, ARGV[i])
    moved = moved + 1
    wake = wake or redis.call('ZCARD', ready) == 1
  end
end
if wake then redis.call('PUBLISH', ARGV[1], 'ready') end
return moved
