-- take: leases values that are about to be loaded, so that nobody else loads them.
--
-- KEYS clock
-- EACH    guard of each value
-- ARGV    now, token, lease ms, the count from before they were loaded, or '' if they are not yet
-- RETURN  for each value 1 leased | 0 somebody else has it
-- LIMIT   O(values), at most 128
-- OOM     refused

local now, token, lease_ms = clock(ARGV[1]), ARGV[2], tonumber(ARGV[3])
local since = ARGV[4] == '' and count_of(k.clock) or ARGV[4]
local till, keep = whole(now + lease_ms), lease_ms + 60000
-- Mostly nobody knows anything about any of them.
local are_new = call('EXISTS', unpack(EACH)) == 0
local taken = {}
for i, guard in ipairs(EACH) do
  local held = are_new and {} or call('HMGET', guard, 'lease', 'until', 'mark')
  if held[1] and held[1] ~= token and tonumber(held[2]) > now then
    taken[i] = 0
  else
    call('HSET', guard, 'lease', token, 'until', till, 'since', since)
    -- Whoever comes late with its values may still bring them, while nobody else has begun.
    if not held[3] or call('PTTL', guard) < keep then call('PEXPIRE', guard, keep) end
    taken[i] = 1
  end
end
return taken
