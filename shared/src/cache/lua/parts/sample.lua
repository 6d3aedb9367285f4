-- Counts what is read most, in 1,024 counters however many there are to count ("SpaceSaving", Metwally, Agrawal and
-- El Abbadi, ICDT 2005): one that is not among them takes the place, and the count, of the least.
local COUNTERS = 1024

local function sample(hot, what, by)
  if not call('ZSCORE', hot, what) and call('ZCARD', hot) >= COUNTERS then
    local least = call('ZPOPMIN', hot)
    by = by + tonumber(least[2])
  end
  call('ZINCRBY', hot, by, what)
end
