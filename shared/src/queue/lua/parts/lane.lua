-- lane: where jobs of one class and priority stand in line.
--
-- A lane is a list of entries, or where jobs have a share key (`~` in its name) a sorted set of them. An
-- entry is rank, separator, id: the rank is the time from which the job could start, as 8 digits of base 36;
-- the separator is a blank for a job that was never handed out, `*` if its unique key is to be freed when it
-- is, and `+` for one that was handed out before. In a sorted set the share key stands behind it.
--
-- Shares are start-time fair queuing (P. Goyal, H. Vin, H. Cheng, "Start-time Fair Queueing", 1996): a job's
-- place is one behind the last of its key, or where the key had none waiting, behind what is being served.
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

-- Puts one job at the end of its lane, or with `first` at its head.
-- The name of the lane with this key.
local function name_of(key) return match(key, '^.*:lane:(.*)$') end

local function join(k, lane, entry, share, first)
  if share == '' then
    call(first and 'LPUSH' or 'RPUSH', lane, entry)
    return
  end
  local name = name_of(lane)
  local place = tonumber(call('HGET', k.serving, name) or '0')
  if not first then
    local turn = name .. ' ' .. share
    place = math.max(place, tonumber(call('HGET', k.shares, turn) or '0')) + 1
    call('HSET', k.shares, turn, place)
  end
  call('ZADD', lane, place, entry .. ' ' .. share)
end

-- A job that waits has one entry, wherever that is. Taking it out of line leaves the entry, which would cost a
-- walk through the lane; it is noted here, and passed over when it comes to the head.
local function leave(k, id)
  call('HINCRBY', k.gone, id, 1)
  call('HINCRBY', k.gone, '', 1)
end

-- Whether an entry that came to the head of its lane stands for nothing any more.
local function was_left(k, id)
  if not call('HGET', k.gone, id) then return false end
  if call('HINCRBY', k.gone, id, -1) <= 0 then call('HDEL', k.gone, id) end
  if call('HINCRBY', k.gone, '', -1) <= 0 then call('HDEL', k.gone, '') end
  return true
end
