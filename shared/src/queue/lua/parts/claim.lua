-- claim: what is kept for a job that has been handed out at least once. While somebody holds it:
--   nonce mark attempt blame lost [limits]
-- and between two holders, or after the last:
--   - mark attempt blame lost rank worker since        `~` instead of `-` where the holder was lost
-- `mark` is `#` where the job counts against limits, which are named then, and `.` where it does not. `blame`
-- counts quarters of a crash and `lost` the holders that were lost (see reclaim.lua). What all jobs of a claim
-- have in common stands once: `owners` has `worker since` by nonce, and `batches` the entries they came from.
local function read_claim(text)
  if not text then return nil end
  local nonce, mark, attempt, blame, lost, rest = match(text, '^(%S+) (.) (%d+) (%d+) (%d+) ?(.*)$')
  if not nonce then return nil end
  local claim = { nonce = nonce, mark = mark, attempt = tonumber(attempt), blame = tonumber(blame),
                  lost = tonumber(lost), limits = '', rank = '0', worker = '-', since = '0' }
  if nonce == '-' or nonce == '~' then
    claim.rank, claim.worker, claim.since = match(rest, '^(%S+) (%S+) (%S+)$')
  else
    claim.limits = rest
  end
  return claim
end

local function write_claim(c)
  local rest = c.limits
  if c.nonce == '-' or c.nonce == '~' then rest = c.rank .. ' ' .. c.worker .. ' ' .. c.since end
  return table.concat({ c.nonce, c.mark, c.attempt, c.blame, c.lost, rest }, ' ')
end

local function is_held(claim)
  return claim and claim.nonce ~= '-' and claim.nonce ~= '~'
end

-- Adds what the claim of a held job has in common with its company.
local function complete(k, id, claim)
  local owner = call('HGET', k.owners, claim.nonce) or '- 0'
  claim.worker, claim.since = match(owner, '^(%S+) (%S+)$')
  for rank, found in string.gmatch(call('HGET', k.batches, claim.nonce) or '', '\n(........)[ *+](%S+)') do
    if found == id then claim.rank = rank end
  end
  return claim
end

-- The same claim once nobody holds it.
local function laid_down(claim, nonce)
  return { nonce = nonce, mark = '.', attempt = claim.attempt, blame = claim.blame, lost = claim.lost,
           limits = '', rank = claim.rank, worker = claim.worker, since = claim.since }
end
