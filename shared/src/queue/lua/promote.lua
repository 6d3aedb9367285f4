-- promote: make delayed jobs ready.
--
-- A job takes its place by when it was due, or now if it is not due yet. One that was lost with its worker keeps the place that it had,
-- for it has waited once already; one that was lost again and again does not, lest it take the same company
-- down first thing each time.
--
-- KEYS[1] delayed  zset  id -> due, ms
-- KEYS[2] classes  set   kinds seen in this queue
-- KEYS[3] claims   hash  id -> claim
-- KEYS[4..] ready  zset  id -> rank, one per class in this call
-- ARGV[1] wake channel
-- ARGV[2] only jobs due at or before this instant, ms, or +inf
-- ARGV[3] now, ms, or 0 for the server's
-- ARGV[4] number of classes, followed by their names in the order of the ready keys
-- then per job: id, place of its class
-- RETURN  how many became ready
-- LIMIT   O(log N) per job; the caller sends at most 128
-- OOM     allowed: it moves, it does not add

local now = clock(ARGV[3])
local classes = tonumber(ARGV[4])
local latest = ARGV[2] == '+inf' and math.huge or tonumber(ARGV[2])
local moved, wake = 0, false
redis.call('SADD', KEYS[2], unpack(ARGV, 5, 4 + classes))
for i = 5 + classes, #ARGV, 2 do
  local due = redis.call('ZSCORE', KEYS[1], ARGV[i])
  if due and tonumber(due) <= latest then
    local ready = KEYS[3 + tonumber(ARGV[i + 1])]
    local claim = read_claim(redis.call('HGET', KEYS[3], ARGV[i]))
    -- Reclaiming leaves a nonce that nobody has; 4 quarters are one crash.
    local keeps_place = claim and claim.nonce == '-' and claim.blame <= 4 and claim.rank ~= '0'
    redis.call('ZREM', KEYS[1], ARGV[i])
    redis.call('ZADD', ready, keeps_place and claim.rank or string.format('%.0f', math.min(tonumber(due), now)), ARGV[i])
    moved = moved + 1
    wake = wake or redis.call('ZCARD', ready) == 1
  end
end
if wake then redis.call('PUBLISH', ARGV[1], 'ready') end
return moved
