-- retry: put failed or snoozed jobs into the delayed set, if the caller still holds them.
--
-- KEYS    claims terms batches owners open leases held said running waits trail delayed cancels stats
-- LANES   none
-- ARGV[1] now, ms, or 0 for the server's
-- ARGV[2] who says so
-- ARGV[3] nonce of this call
-- ARGV[4] wake channel
-- then per job: id, nonce, delay ms, 1 if the attempt is not to count, line for the trail
-- RETURN  a digit per job: 1 delayed | 3 not delayed, a cancel came first | 0 the claim was lost
-- LIMIT   O(log N) per job; the trail is cut at 4 KiB; the caller sends at most 128
-- OOM     allowed: a failed job must not be lost because memory is short

local now, slot, word = clock(ARGV[1]), ARGV[2], ARGV[3]
local answers = said_before(k, slot, word)
if answers then return answers end
answers = {}
local retried, gone = 0, {}
for i = 5, #ARGV, 5 do
  local id = ARGV[i]
  local text = call('HGET', k.claims, id)
  local answer = holds(text, ARGV[i + 1]) and 1 or 0
  if answer == 1 and call('HEXISTS', k.cancels, id) == 1 then
    answer = 3
  elseif answer == 1 then
    local claim = complete(k, id, read_claim(text))
    gone[#gone + 1] = { id, claim }
    local past = laid_down(claim, '-')
    if ARGV[i + 3] == '1' then past.attempt = past.attempt - 1 else retried = retried + 1 end
    call('HSET', k.claims, id, write_claim(past))
    call('ZADD', k.delayed, now + tonumber(ARGV[i + 2]), id)
    if ARGV[i + 4] ~= '' then note(k, id, ARGV[i + 4]) end
  end
  answers[#answers + 1] = answer
end
if let_go(k, now, gone) then call('PUBLISH', ARGV[4], '') end
if retried > 0 then call('HINCRBY', k.stats, 'retried', retried) end
answers = table.concat(answers)
remember(k, slot, word, answers)
return answers
