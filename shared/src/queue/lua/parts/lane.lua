-- lane: where jobs of one class and priority stand in line.
--
-- A lane is a list of entries, or where jobs have a share key (`~` in its name) a sorted set of them. An
-- entry is rank, separator, id: the rank is the time from which the job could start, as 8 digits of base 36;
-- the separator is a blank for a job that was never handed out, `*` if its unique key is to be freed when it
-- is, and `+` for one that was handed out before. In a sorted set the share key stands behind it.
--
-- Shares are start-time fair queuing (P. Goyal, H. Vin, H. Cheng, "Start-time Fair Queueing", 1996): a job's
-- place is one behind the last of its key in the lane, or where the key had none waiting, behind what is being
-- served there. Lanes are served at speeds of their own, so each has turns of its own.
local DIGITS = '0123456789abcdefghijklmnopqrstuvwxyz'

local function rank_of(ms)
  local text = ''
  ms = math.max(0, math.floor(ms))
  for _ = 1, 8 do
    local digit = ms % 36
    text = sub(DIGITS, digit + 1, digit + 1) .. text
    ms = (ms - digit) / 36
  end
  return text
end

-- The name of the lane with this key.
local function name_of(key) return match(key, '^.*:lane:(.*)$') end

-- Puts one job at the end of its lane, or with `first` at its head: half a place before what is being served, so
-- that no key whose turn it is as well comes before it.
local function join(k, lane, entry, share, first)
  if share == '' then
    call(first and 'LPUSH' or 'RPUSH', lane, entry)
    return
  end
  local name = name_of(lane)
  local place = tonumber(call('HGET', k.serving, name) or '0')
  if first then
    place = place - 0.5
  else
    local turn = name .. ' ' .. share
    place = math.max(place, tonumber(call('HGET', k.shares, turn) or '0')) + 1
    call('HSET', k.shares, turn, place)
  end
  call('ZADD', lane, place, entry .. ' ' .. share)
end

-- A job that waits has one entry, wherever that is. Taking it out of line leaves the entry, which would cost a
-- walk through the lane; it is noted here with the rank that no such entry exceeds, and passed over when it comes
-- to the head. Where the job comes back its new entry has a higher rank, so that the two are not mistaken.
local function leave(k, id, now)
  local n, before = match(call('HGET', k.gone, id) or '', '^(%d+) (%S+)$')
  local rank = rank_of(now)
  if before and before >= rank then rank = rank_of(tonumber(before, 36) + 1) end
  call('HSET', k.gone, id, (tonumber(n or '0') + 1) .. ' ' .. rank)
  call('HINCRBY', k.gone, '', 1)
end

-- The rank of an entry for a job that may have left others behind.
local function rank_anew(k, id, rank)
  local before = match(call('HGET', k.gone, id) or '', ' (%S+)$')
  if not before or before < rank then return rank end
  return rank_of(tonumber(before, 36) + 1)
end
