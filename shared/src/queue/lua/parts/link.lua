-- link: jobs that wait for others.
--
-- A link is `parent child` in the set `links`; taking it out is what makes its end count once. `how` is `!`
-- where the parent must be done for it and `?` where it must only have ended.
-- Returns true if the child may start now.
local function cut_link(k, parent, child)
  if call('SREM', k.links, parent .. ' ' .. child) == 0 then return false end
  if call('HINCRBY', k.blocked, child, -1) > 0 then return false end
  call('HDEL', k.blocked, child)
  return call('HEXISTS', k.jobs, child) == 1 and call('HEXISTS', k.outcomes, child) == 0
end

-- Tells those who wait for the end of jobs, on the channel `ended`.
local function tell_waiters(k, ids)
  if #ids == 0 or call('EXISTS', k.waiters) == 0 then return end
  for i, waits in ipairs(call('HMGET', k.waiters, unpack(ids))) do
    if waits then
      call('HDEL', k.waiters, ids[i])
      call('PUBLISH', k.ended, ids[i])
    end
  end
end
