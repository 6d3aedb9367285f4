-- finish: record that jobs came to their end, done or cancelled, if the caller still holds them.
--
-- KEYS    jobs claims terms batches open leases held said running waits trail notes logs done kept counts outcomes
--         cancels unique locks links blocked shares serving waiters stats bytes
-- LANES   where jobs stand in line that waited for these
-- ARGV[1] now, ms, or 0 for the server's
-- ARGV[2] who says so
-- ARGV[3] nonce of this call
-- ARGV[4] most done jobs to keep
-- ARGV[5] most bytes of done jobs to keep, or 0
-- ARGV[6] how long to keep them, ms
-- ARGV[7] wake channel
-- ARGV[8] channel of ends
-- ARGV[9] number of jobs
-- then per job: id, nonce, bytes of envelope and outcome, bytes of the envelope, outcome
-- then per particular: place of the job, what, value:
--   u its unique key | k ms to keep it instead | c it was cancelled
--   ! `child place share` a job that waits until it is done | ? the same, until it has ended
-- RETURN  per job: 1 recorded | 0 the claim was lost to another worker
-- LIMIT   O(log N) per job; the caller sends at most 128
-- OOM     allowed: it frees more than it takes

k.ended = ARGV[8]
local now, slot, word = clock(ARGV[1]), ARGV[2], ARGV[3]
local answers = said_before(k, slot, word)
if answers then return answers end
answers = {}
local room, count = tonumber(ARGV[4]), tonumber(ARGV[9])
-- Room for these first, so that a full Redis gets emptier by finishing.
trim_done(k, now, math.max(0, room - count), tonumber(ARGV[5]), 256)

local particulars = {}
for i = 10 + 5 * count, #ARGV, 3 do
  local place = tonumber(ARGV[i])
  local mine = particulars[place] or { keep = nil, key = '', links = {}, cancelled = false }
  local what, value = ARGV[i + 1], ARGV[i + 2]
  if what == 'u' then mine.key = value
  elseif what == 'k' then mine.keep = tonumber(value)
  elseif what == 'c' then mine.cancelled = true
  else mine.links[#mine.links + 1] = what .. value end
  particulars[place] = mine
end

local ids = {}
for i = 1, count do ids[i] = ARGV[5 * i + 5] end
local claims = call('HMGET', k.claims, unpack(ids))
-- One command for all jobs instead of one per job: a batch costs little more than a job.
local ended, gone, dropped, kept, outcomes = {}, {}, {}, {}, {}
local kept_bytes, freed, done, cancelled, seen, batch = 0, 0, 0, 0, {}, {}
for i, id in ipairs(ids) do
  local nonce = ARGV[5 * i + 6]
  local text = claims[i]
  if holds(text, nonce) and not seen[id] then
    seen[id] = true
    answers[i] = 1
    -- All jobs of a claim say the same but for their limits, so one is read for all that have none.
    local claim = byte(text, #nonce + 2) == 46 and batch[nonce] or read_claim(text)
    if claim.mark == '.' then batch[nonce] = claim end
    ended[#ended + 1] = id
    gone[#gone + 1] = { id, claim }
    local mine = particulars[i]
    local keep = tonumber(ARGV[6])
    if mine then
      keep = mine.keep or keep
      free(k, mine.key, id)
      if mine.cancelled then cancelled = cancelled + 1 else done = done + 1 end
    else
      done = done + 1
    end
    if keep > 0 and (room > 0 or mine and mine.keep) then
      local bytes = tonumber(ARGV[5 * i + 7])
      freed = freed - (bytes - tonumber(ARGV[5 * i + 8]))
      if mine and mine.keep then
        keep_apart(k, now + keep, id, bytes)
      else
        kept[#kept + 1] = id
        kept_bytes = kept_bytes + bytes
      end
      local n = #outcomes
      outcomes[n + 1], outcomes[n + 2] = id, ARGV[5 * i + 9]
    else
      dropped[#dropped + 1] = id
      freed = freed + tonumber(ARGV[5 * i + 8])
    end
    if mine then
      for _, link in ipairs(mine.links) do
        local how, child, place, share = match(link, '^(.)(%S+) (%d+) ?(%S*)$')
        if how == '?' or not mine.cancelled then
          follow_on(k, now, id, child, LANES[tonumber(place)], share, ARGV[7])
        end
      end
    end
  else
    answers[i] = 0
  end
end
if #ended > 0 then
  call('HDEL', k.claims, unpack(ended))
  if call('EXISTS', k.cancels) == 1 then call('HDEL', k.cancels, unpack(ended)) end
  let_go(k, now, gone)
  if gone.limited then call('PUBLISH', ARGV[7], '') end
end
if #outcomes > 0 then call('HSET', k.outcomes, unpack(outcomes)) end
keep_done(k, now + tonumber(ARGV[6]), kept, kept_bytes)
forget(k, dropped)
if freed ~= 0 then call('DECRBY', k.bytes, freed) end
if done > 0 then call('HINCRBY', k.stats, 'done', done) end
if cancelled > 0 then call('HINCRBY', k.stats, 'cancelled', cancelled) end
tell_waiters(k, ended)
remember(k, slot, word, answers)
return answers
