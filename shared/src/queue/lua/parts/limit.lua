-- limit: how many jobs may start now, for a queue (`q`), a kind (`k KIND`) or a share key (`g KEY`).
--
-- limit: { most at once, ms between two starts, starts at once }; 0 is no limit. The rate is the generic cell
-- rate algorithm (ITU-T I.371, 1996): one number per limit, the time at which it would be idle again.
-- Returns how many may start, beside the `taken` ones of this call, and where that is none for its rate, when the
-- next one may.
local function allowed(k, now, field, limit, taken)
  local free, at = math.huge, nil
  taken = taken or 0
  if limit.most > 0 then free = limit.most - taken - tonumber(call('HGET', k.running, field) or '0') end
  if limit.interval > 0 then
    local idle = math.max(tonumber(call('ZSCORE', k.rates, field) or '0'), now) + taken * limit.interval
    local starts = math.floor((limit.burst * limit.interval - (idle - now)) / limit.interval + 0.000001)
    if starts < free then free = starts end
    if starts <= 0 then at = idle - (limit.burst - 1) * limit.interval end
  end
  return math.max(0, free), at
end

local function take(k, now, field, limit, n)
  if n == 0 then return end
  if limit.most > 0 then call('HINCRBY', k.running, field, n) end
  if limit.interval > 0 then
    local idle = math.max(tonumber(call('ZSCORE', k.rates, field) or '0'), now)
    call('ZADD', k.rates, idle + n * limit.interval, field)
  end
end
