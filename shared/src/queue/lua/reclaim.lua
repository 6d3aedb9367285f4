-- reclaim: take jobs back whose holder did not renew in time, or was seen to die of them.
--
-- A loss is blamed in quarters of a crash. The only job its worker held takes the whole of it (4); a job lost
-- in company takes a quarter (1), for it is probably innocent. At `quota` the job is quarantined. A crash that
-- was witnessed, by the parent of a process that ran nothing but this job, is certain: then it is enough that
-- the job was lost as often as `most` says. Jobs lost in company come back spread over a moment, so that the
-- guilty one finds other company each time.
--
-- KEYS    jobs claims terms batches owners open leases held running waits trail notes logs delayed dead done counts
--         outcomes stats unique locks cancels links blocked shares serving waiters bytes history history_room
-- LANES   where jobs stand in line that waited for these to have ended
-- ARGV[1] now, ms, or 0 for the server's
-- ARGV[2] quota of blame, in quarters of a crash
-- ARGV[3] how often a job may be lost, once it is certain whose fault it was
-- ARGV[4] how long a cancelled job is kept, ms
-- ARGV[5] outcome of a job that was cancelled while its worker was lost
-- ARGV[6] wake channel
-- ARGV[7] channel of ends
-- ARGV[8] number of claims that are over, followed by their nonces
-- ARGV[9+] number of jobs, then per job: id, delay ms if lost in company, unique key or empty, outcome if
--          quarantined, nonce if its crash was witnessed or empty, what was witnessed
-- then per job that waits for one of these to have ended: place of the job, `child place share`
-- RETURN  {reclaimed, quarantined, cancelled}
-- LIMIT   O(log N) per job; the trail is cut at 4 KiB; the caller sends at most 128
-- OOM     allowed: a lost job must come back when memory is short

k.ended = ARGV[7]
local now, quota, most = clock(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local claims_over, at = tonumber(ARGV[8]), 9 + tonumber(ARGV[8])
local count = tonumber(ARGV[at])
local reclaimed, quarantined, cancelled = 0, 0, 0
local gone, ended, is_ended = {}, {}, {}

local function is_over(id, claim)
  local own = call('ZSCORE', k.leases, id)
  if own then return tonumber(own) <= now end
  if not is_held(claim) then return false end
  local term = call('ZSCORE', k.terms, claim.nonce)
  return not term or tonumber(term) <= now
end

for n = 1, count do
  local i = at + 6 * n - 5
  local id, witness = ARGV[i], ARGV[i + 4]
  local text = call('HGET', k.claims, id)
  local claim = read_claim(text)
  local seen = witness ~= '' and holds(text, witness)
  if claim == nil and call('ZSCORE', k.leases, id) then
    claim = { nonce = '?', mark = '.', attempt = 1, blame = 0, lost = 0, limits = '', rank = '0', worker = '-', since = '0' }
  end
  if claim and (seen or (witness == '' and is_over(id, claim))) then
    if claim.nonce ~= '?' then complete(k, id, claim) end
    local alone = seen or (tonumber(call('HGET', k.held, claim.worker)) or 1) <= 1
    gone[#gone + 1] = { id, claim }
    -- A nonce that nobody has: the late holder is refused from here on.
    local past = laid_down(claim, '~')
    past.blame, past.lost = claim.blame + (alone and 4 or 1), claim.lost + 1
    call('HSET', k.claims, id, write_claim(past))
    note(k, id, string.format('%.0f %d %s %s%s', now, claim.attempt, seen and 'crashed' or 'lost', claim.worker,
                              ARGV[i + 5] ~= '' and ' ' .. ARGV[i + 5] or ''))
    local stopped = call('HDEL', k.cancels, id) == 1
    if stopped then
      -- Somebody asked it to stop, and its worker can no longer say that it did.
      tell_end(k, id, write_claim(past), ARGV[5])
      call('HSET', k.outcomes, id, ARGV[5])
      call('HDEL', k.claims, id)
      call('INCRBY', k.bytes, #ARGV[5])
      keep_done(k, now + tonumber(ARGV[4]), { id }, size_of(k, id))
      cancelled = cancelled + 1
    elseif past.blame >= quota or (seen and past.lost >= most) then
      tell_end(k, id, write_claim(past), ARGV[i + 3])
      keep_dead(k, now, id, ARGV[i + 3])
      quarantined = quarantined + 1
    else
      call('ZADD', k.delayed, now + (alone and 0 or tonumber(ARGV[i + 1])), id)
      reclaimed = reclaimed + 1
    end
    if stopped or past.blame >= quota or (seen and past.lost >= most) then
      free(k, ARGV[i + 2], id)
      ended[#ended + 1], is_ended[n] = id, true
    end
  end
end
for i = at + 1 + 6 * count, #ARGV, 2 do
  local n = tonumber(ARGV[i])
  local child, place, share = match(ARGV[i + 1], '^(%S+) (%d+) ?(%S*)$')
  if is_ended[n] then
    follow_on(k, now, ARGV[at + 6 * n - 5], child, LANES[tonumber(place)], share, ARGV[6])
  end
end
-- What a claim holds besides has leases of its own by now.
for i = 9, 8 + claims_over do
  local term = call('ZSCORE', k.terms, ARGV[i])
  if term and tonumber(term) <= now then
    call('ZREM', k.terms, ARGV[i])
  end
end
local limited = false
for first = 1, #gone, 64 do
  local some = {}
  for i = first, math.min(first + 63, #gone) do some[#some + 1] = gone[i] end
  if let_go(k, now, some, true) then limited = true end
end
if limited then call('PUBLISH', ARGV[6], '') end
if reclaimed > 0 then call('HINCRBY', k.stats, 'reclaimed', reclaimed) end
if quarantined > 0 then call('HINCRBY', k.stats, 'dead', quarantined) end
if cancelled > 0 then call('HINCRBY', k.stats, 'cancelled', cancelled) end
tell_waiters(k, ended)
return { reclaimed, quarantined, cancelled }
