-- reclaim: take jobs back whose holder did not renew in time.
--
-- A crash is blamed in quarters. The only job its worker held takes the whole of it (4); a job lost in
-- company takes a quarter (1), for it is probably innocent. At `quota` the job is quarantined. Jobs lost
-- in company come back spread over a moment, so that the guilty one finds other company each time.
--
-- KEYS[1] leases   zset  id -> leased until, ms
-- KEYS[2] claims   hash  id -> claim
-- KEYS[3] held     hash  worker -> jobs it holds; stays as it was when the worker died
-- KEYS[4] trail    hash  id -> how earlier attempts ended
-- KEYS[5] delayed  zset  id -> due, ms
-- KEYS[6] dead     zset  id -> died at, ms
-- KEYS[7] outcomes hash  id -> outcome
-- KEYS[8] stats    hash  counter -> value
-- KEYS[9] jobs     hash  id -> envelope
-- KEYS[10] unique  hash  unique key -> id
-- KEYS[11] cancels hash  id -> who asked, and why
-- KEYS[12] done    zset  id -> kept until, ms
-- ARGV[1] now, ms, or 0 for the server's
-- ARGV[2] quota of blame, in quarters of a crash
-- ARGV[3] how long a cancelled job is kept, ms
-- ARGV[4] outcome of a job that was cancelled while its worker was lost
-- then per job: id, delay ms if lost in company, unique key or empty, outcome if quarantined
-- RETURN  {reclaimed, quarantined, cancelled}
-- LIMIT   O(log N) per job; the trail is cut at 4 KiB; the caller sends at most 128
-- OOM     allowed: a lost job must come back when memory is short

local now = clock(ARGV[1])
local quota = tonumber(ARGV[2])
local reclaimed, quarantined, cancelled = 0, 0, 0
for i = 5, #ARGV, 4 do
  local id = ARGV[i]
  local expiry = redis.call('ZSCORE', KEYS[1], id)
  if expiry and tonumber(expiry) <= now then
    local claim = read_claim(redis.call('HGET', KEYS[2], id))
      or { attempt = 1, blame = 0, rank = '0', since = '0', fence = '0', nonce = '-', worker = '-' }
    local alone = (tonumber(redis.call('HGET', KEYS[3], claim.worker)) or 1) <= 1
    claim.blame = claim.blame + (alone and 4 or 1)
    claim.held = false
    -- A nonce that nobody has: the late holder is refused from here on.
    claim.nonce = '-'
    redis.call('ZREM', KEYS[1], id)
    redis.call('HSET', KEYS[2], id, write_claim(claim))
    local trail = redis.call('HGET', KEYS[4], id) or ''
    local line = string.format('%.0f %d lost %s', now, claim.attempt, claim.worker)
    redis.call('HSET', KEYS[4], id, string.sub(trail .. line .. '\n', -4096))
    if redis.call('HDEL', KEYS[11], id) == 1 then
      -- Somebody asked it to stop, and its worker can no longer say that it did.
      redis.call('ZADD', KEYS[12], now + tonumber(ARGV[3]), id)
      redis.call('HSET', KEYS[7], id, ARGV[4])
      free(KEYS[10], ARGV[i + 2], id)
      cancelled = cancelled + 1
    elseif claim.blame >= quota then
      redis.call('HSETNX', KEYS[9], id, '')
      redis.call('ZADD', KEYS[6], now, id)
      redis.call('HSET', KEYS[7], id, ARGV[i + 3])
      free(KEYS[10], ARGV[i + 2], id)
      quarantined = quarantined + 1
    else
      redis.call('ZADD', KEYS[5], now + (alone and 0 or tonumber(ARGV[i + 1])), id)
      reclaimed = reclaimed + 1
    end
  end
end
if reclaimed > 0 then redis.call('HINCRBY', KEYS[8], 'reclaimed', reclaimed) end
if quarantined > 0 then redis.call('HINCRBY', KEYS[8], 'dead', quarantined) end
if cancelled > 0 then redis.call('HINCRBY', KEYS[8], 'cancelled', cancelled) end
return { reclaimed, quarantined, cancelled }
