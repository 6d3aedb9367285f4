-- claim: hand out the oldest ready jobs of the classes that the caller can run.
--
-- KEYS[1] jobs     hash  id -> envelope
-- KEYS[2] leases   zset  id -> leased until, ms
-- KEYS[3] claims   hash  id -> claim
-- KEYS[4] held     hash  worker -> jobs it holds
-- KEYS[5] calls    hash  worker -> nonce and ids of its last claim
-- KEYS[6] fence    string  the last fence given out
-- KEYS[7] paused   string  who paused the queue, and why
-- KEYS[8..] ready  zset  id -> rank, one per class
-- ARGV[1] now, ms, or 0 for the server's
-- ARGV[2] lease, ms
-- ARGV[3] most jobs to hand out
-- ARGV[4] worker
-- ARGV[5] nonce of this claim
-- RETURN  {now, id, attempt, blame, fence, envelope or '', id, ...}
-- LIMIT   O(log N) per job, plus one look per class; the caller asks for at most 128
-- OOM     allowed: a full Redis must still be drained

local now = clock(ARGV[1])
local reply = { now }
local most, worker, nonce = tonumber(ARGV[3]), ARGV[4], ARGV[5]

-- A call whose answer was lost is asked again with its nonce, and gets the same jobs.
local last = redis.call('HGET', KEYS[5], worker)
if last and string.sub(last, 1, #nonce) == nonce then
  for id in string.gmatch(string.sub(last, #nonce + 2), '%S+') do
    local claim = read_claim(redis.call('HGET', KEYS[3], id))
    if claim and claim.held and claim.nonce == nonce then
      local n = #reply
      reply[n + 1], reply[n + 2], reply[n + 3] = id, claim.attempt, claim.blame
      reply[n + 4], reply[n + 5] = claim.fence, redis.call('HGET', KEYS[1], id) or ''
    end
  end
  return reply
end
if redis.call('EXISTS', KEYS[7]) == 1 then return reply end

-- The heads of the classes that have anything; the lowest rank goes first.
local heads = {}
for i = 8, #KEYS do
  local head = redis.call('ZRANGE', KEYS[i], 0, 0, 'WITHSCORES')
  if head[1] then heads[#heads + 1] = { key = KEYS[i], rank = tonumber(head[2]) } end
end
local ids, ranks = {}, {}
while #ids < most and #heads > 0 do
  local best = 1
  for i = 2, #heads do
    if heads[i].rank < heads[best].rank then best = i end
  end
  local popped = redis.call('ZPOPMIN', heads[best].key, #heads == 1 and most - #ids or 1)
  for i = 1, #popped, 2 do
    ids[#ids + 1] = popped[i]
    ranks[#ranks + 1] = popped[i + 1]
  end
  local head = redis.call('ZRANGE', heads[best].key, 0, 0, 'WITHSCORES')
  if head[1] then heads[best].rank = tonumber(head[2]) else table.remove(heads, best) end
end
if #ids == 0 then return reply end

local fence = math.max((tonumber(redis.call('GET', KEYS[6])) or 0) + 1, now * 1000)
local envelopes = redis.call('HMGET', KEYS[1], unpack(ids))
local before = redis.call('HMGET', KEYS[3], unpack(ids))
local leases, claims = {}, {}
for i, id in ipairs(ids) do
  local old = read_claim(before[i]) or { attempt = 0, blame = 0 }
  -- Counted when handed out, not when it fails: a job that takes its worker down has used an attempt.
  local claim = { attempt = old.attempt + 1, blame = old.blame, held = true,
                  rank = string.format('%.0f', tonumber(ranks[i])), since = string.format('%.0f', now),
                  fence = string.format('%.0f', fence + i - 1), nonce = nonce, worker = worker }
  leases[2 * i - 1], leases[2 * i] = now + tonumber(ARGV[2]), id
  claims[2 * i - 1], claims[2 * i] = id, write_claim(claim)
  local n = #reply
  reply[n + 1], reply[n + 2], reply[n + 3] = id, claim.attempt, claim.blame
  reply[n + 4], reply[n + 5] = claim.fence, envelopes[i] or ''
end
redis.call('ZADD', KEYS[2], unpack(leases))
redis.call('HSET', KEYS[3], unpack(claims))
redis.call('HINCRBY', KEYS[4], worker, #ids)
redis.call('HSET', KEYS[5], worker, nonce .. ' ' .. table.concat(ids, ' '))
redis.call('SET', KEYS[6], string.format('%.0f', fence + #ids - 1))
return reply
