-- hand_back: return jobs that did not run, to the head of their lanes and without using an attempt.
--
-- KEYS    claims terms batches owners open leases held said running waits cancels shares serving
-- LANES   the lanes that the jobs came from
-- ARGV[1] now, ms, or 0 for the server's
-- ARGV[2] who says so
-- ARGV[3] nonce of this call
-- ARGV[4] wake channel
-- then per job: id, nonce, place of its lane, share key or empty
-- RETURN  a digit per job: 1 returned | 3 not returned, a cancel came first | 0 the claim was lost
-- LIMIT   O(log N) per job; the caller sends at most 128
-- OOM     allowed: a drain must work when memory is short

local now, slot, word = clock(ARGV[1]), ARGV[2], ARGV[3]
local answers = said_before(k, slot, word)
if answers then return answers end
answers = {}
local gone, back = {}, {}
for i = 5, #ARGV, 4 do
  local id = ARGV[i]
  local text = call('HGET', k.claims, id)
  local answer = holds(text, ARGV[i + 1]) and 1 or 0
  if answer == 1 and call('HEXISTS', k.cancels, id) == 1 then
    answer = 3
  elseif answer == 1 then
    local claim = complete(k, id, read_claim(text))
    gone[#gone + 1] = { id, claim }
    local past = laid_down(claim, '-')
    past.attempt = past.attempt - 1
    call('HSET', k.claims, id, write_claim(past))
    back[#back + 1] = { rank = claim.rank, id = id, lane = LANES[tonumber(ARGV[i + 2])], share = ARGV[i + 3] }
  end
  answers[#answers + 1] = answer
end
-- The last in line goes back first, so that the first stands before it again.
table.sort(back, function(left, right) return left.rank > right.rank end)
for _, job in ipairs(back) do join(k, job.lane, job.rank .. '+' .. job.id, job.share, true) end
let_go(k, now, gone)
if #back > 0 then call('PUBLISH', ARGV[4], '') end
answers = table.concat(answers)
remember(k, slot, word, answers)
return answers
