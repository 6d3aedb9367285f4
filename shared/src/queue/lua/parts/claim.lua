-- claim: the text kept for a job that has been handed out at least once:
--   attempt blame held rank since fence nonce worker
-- `held` is 1 while the job is leased; `blame` counts quarters of a crash (see reclaim.lua).
local function read_claim(text)
  if not text then return nil end
  local attempt, blame, held, rank, since, fence, nonce, worker =
    string.match(text, '^(%d+) (%d+) (%d) (%-?%d+) (%d+) (%d+) (%S+) (%S+)$')
  if not attempt then return nil end
  return { attempt = tonumber(attempt), blame = tonumber(blame), held = held == '1', rank = rank,
           since = since, fence = fence, nonce = nonce, worker = worker }
end

local function write_claim(c)
  return string.format('%d %d %d %s %s %s %s %s', c.attempt, c.blame, c.held and 1 or 0, c.rank,
                       c.since, c.fence, c.nonce, c.worker)
end
