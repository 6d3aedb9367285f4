-- claim: the text kept for a job that has been handed out at least once:
--   nonce mark attempt blame lost rank since worker [tags]
-- `nonce` is `-` while nobody holds the job and `~` after its holder was lost. `mark` is `#` where the job
-- counts against limits, which are then the tags, and `.` where it does not. `blame` counts quarters of a
-- crash and `lost` the holders that were lost (see reclaim.lua).
local function read_claim(text)
  if not text then return nil end
  local nonce, mark, attempt, blame, lost, rank, since, worker, tags =
    match(text, '^(%S+) (.) (%d+) (%d+) (%d+) (%S+) (%d+) (%S+) ?(.*)$')
  if not nonce then return nil end
  return { nonce = nonce, mark = mark, attempt = tonumber(attempt), blame = tonumber(blame),
           lost = tonumber(lost), rank = rank, since = since, worker = worker, tags = tags }
end

local function write_claim(c)
  return table.concat({ c.nonce, c.mark, c.attempt, c.blame, c.lost, c.rank, c.since, c.worker, c.tags }, ' ')
end

local function is_held(claim)
  return claim and claim.nonce ~= '-' and claim.nonce ~= '~'
end
