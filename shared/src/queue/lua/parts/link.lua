-- link: jobs that wait for others.
--
-- A link is `parent child` in the set `links`; taking it out is what makes its end count once. `how` is `!`
-- where the parent must be done for it and `?` where it must only have ended.
-- Returns true if the child may start now.
local function cut_link(k, parent, child)
  if call('SREM', k.links, parent .. ' ' .. child) == 0 then return false end
  -- Somebody started it by hand, or cancelled it: it waits for nobody any more.
  if call('HEXISTS', k.blocked, child) == 0 then return false end
  if call('HINCRBY', k.blocked, child, -1) > 0 then return false end
  call('HDEL', k.blocked, child)
  return call('HEXISTS', k.jobs, child) == 1 and call('HEXISTS', k.outcomes, child) == 0
end

-- Cuts a link, and lets the child stand in line if it may start now.
local function follow_on(k, now, parent, child, lane, share, wake)
  if not cut_link(k, parent, child) then return end
  local separator = call('HEXISTS', k.locks, child) == 1 and '*' or ' '
  join(k, lane, rank_of(now) .. separator .. child, share)
  call('PUBLISH', wake, name_of(lane))
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
