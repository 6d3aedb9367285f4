-- clock: the server's time in ms, or the test's when one was passed.
-- Leases, delays and retries are all judged by this one clock, so skew between hosts cannot matter.
local function clock(given)
  if given ~= '0' then return tonumber(given) end
  local t = call('TIME')
  return tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
end
