-- bury: put jobs into the dead letter with their reason, if the caller still holds them.
--
-- KEYS    jobs claims terms batches owners open leases held said running waits trail notes logs dead counts outcomes
--         cancels unique locks links blocked shares serving waiters stats bytes history history_room
-- LANES   where jobs stand in line that waited for these
-- ARGV[1] now, ms, or 0 for the server's
-- ARGV[2] who says so
-- ARGV[3] nonce of this call
-- ARGV[4] most dead jobs to keep
-- ARGV[5] most bytes of dead jobs to keep, or 0
-- ARGV[6] how long to keep them, ms
-- ARGV[7] wake channel
-- ARGV[8] channel of ends
-- ARGV[9] number of jobs
-- ARGV[10] what the history is told of them, a line per job (see parts/history.lua), or empty
-- then per job: id, nonce, unique key or empty, outcome
-- then per job that waits for one of these to have ended: place of the job, `child place share`
-- RETURN  a digit per job: 1 buried | 0 the claim was lost to another worker
-- LIMIT   O(log N) per job; the caller sends at most 128
-- OOM     allowed: a failed job must not be lost because memory is short

k.ended = ARGV[8]
local now, slot, word = clock(ARGV[1]), ARGV[2], ARGV[3]
local answers = said_before(k, slot, word)
if answers then return answers end
answers = {}
local gone, buried, count = {}, {}, tonumber(ARGV[9])
for n = 1, count do
  local i = 7 + 4 * n
  local id = ARGV[i]
  local text = call('HGET', k.claims, id)
  local answer = holds(text, ARGV[i + 1]) and 1 or 0
  if answer == 1 then
    local claim = complete(k, id, read_claim(text))
    gone[#gone + 1] = { id, claim }
    call('HSET', k.claims, id, write_claim(laid_down(claim, '-')))
    call('HDEL', k.cancels, id)
    free(k, ARGV[i + 2], id)
    keep_dead(k, now, id, ARGV[i + 3])
    buried[#buried + 1] = id
  end
  answers[n] = answer
end
for i = 11 + 4 * count, #ARGV, 2 do
  local parent = ARGV[7 + 4 * tonumber(ARGV[i])]
  local child, place, share = match(ARGV[i + 1], '^(%S+) (%d+) ?(%S*)$')
  if answers[tonumber(ARGV[i])] == 1 then
    follow_on(k, now, parent, child, LANES[tonumber(place)], share, ARGV[7])
  end
end
if let_go(k, now, gone) then call('PUBLISH', ARGV[7], '') end
if #buried > 0 then call('HINCRBY', k.stats, 'dead', #buried) end
tell_waiters(k, buried)
trim_dead(k, now - tonumber(ARGV[6]), tonumber(ARGV[4]), tonumber(ARGV[5]), 256)
answers = table.concat(answers)
tell_lines(k, count, ARGV[10], answers)
remember(k, slot, word, answers)
return answers
