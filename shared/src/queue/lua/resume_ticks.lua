-- resume_ticks: let a schedule fire again. The pause ends now instead of being forgotten: a tick that fell into it and
-- was not judged, for no scheduler was there, is not made up for later.
--
-- KEYS    schedule_pauses
-- LANES   none
-- ARGV[1] now, ms, or 0 for the server's
-- ARGV[2] schedule
-- ARGV[3] 1 to forget it, for no configuration has the schedule any more; else 0
-- RETURN  what was written down, or nothing where it was not paused
-- LIMIT   O(1)
-- OOM     allowed: it takes no more room than before

local now, name = clock(ARGV[1]), ARGV[2]
local entry = call('HGET', k.schedule_pauses, name)
if not entry then return '' end
local since, ends, rest = match(entry, '^(%d+) (%d+) (.*)$')
local is_over = ends and ends ~= '0' and tonumber(ends) <= now
-- What somebody wrote by hand has no times to be cut short.
if ARGV[3] == '1' or not since then
  call('HDEL', k.schedule_pauses, name)
elseif not is_over then
  call('HSET', k.schedule_pauses, name, string.format('%s %.0f %s', since, now, rest))
end
return is_over and '' or entry
