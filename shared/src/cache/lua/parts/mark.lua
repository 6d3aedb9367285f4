-- A mark says which transactions invalidated a value, or all values with a tag: `count max count:x count:x ...`,
-- newest first. The first count is that of the last change, and tells the mark from any other. `max` is the highest
-- transaction of all. Each `count:x` is a transaction and when it was told; `!` is nobody's, which no snapshot covers.
-- As many as RECENT are kept: when all of them came after a lease was taken, nobody knows whether there were more.
local RECENT = 8

local function tick(key)
  if call('EXISTS', key) == 0 then
    local t = call('TIME')
    call('SET', key, string.format('%.0f', tonumber(t[1]) * 1000000 + tonumber(t[2])))
  end
  return string.format('%.0f', call('INCR', key))
end

local function count_of(key)
  return call('GET', key) or '0'
end

-- The mark with one more transaction.
local function marked(mark, count, xid)
  local max, recent = '0', ''
  if mark then max, recent = match(mark, '^%d+ (%d+)(.*)$') end
  if xid ~= '!' and tonumber(xid) > tonumber(max) then max = xid end
  local kept, at = 1, 1
  while kept < RECENT do
    local _, last = find(recent, ' %d+:[%d!]+', at)
    if not last then break end
    kept, at = kept + 1, last + 1
  end
  return count .. ' ' .. max .. ' ' .. count .. ':' .. xid .. sub(recent, 1, at - 1)
end

-- A snapshot as Postgres writes it, `xmin:xmax:running,running`. Of a replica only xmin counts: it does not know what
-- runs on the primary.
local function snapshot(text, is_replica)
  local xmin, xmax, running = match(text, '^(%d+):(%d+):(.*)$')
  local snap = { xmin = tonumber(xmin), xmax = tonumber(xmax), is_replica = is_replica, running = {} }
  for xid in string.gmatch(running, '%d+') do snap.running[tonumber(xid)] = true end
  return snap
end

-- Whether a snapshot that was taken after the count `since` has seen everything that the mark says. What was told
-- before `since` was committed before the snapshot was taken, so the primary has seen it; a replica may lag.
local function covers(snap, mark, since)
  local max, recent = match(mark, '^%d+ (%d+)(.*)$')
  if snap.is_replica and tonumber(max) >= snap.xmin and max ~= '0' then return false end
  local seen = 0
  for count, xid in string.gmatch(recent, ' (%d+):([%d!]+)') do
    if tonumber(count) <= since then return true end
    if xid == '!' then return false end
    xid = tonumber(xid)
    if xid >= snap.xmax or snap.running[xid] or (snap.is_replica and xid >= snap.xmin) then return false end
    seen = seen + 1
  end
  return seen < RECENT
end
