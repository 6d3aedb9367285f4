-- follow: the last instant of a schedule that has a verdict; its life begins now where there is none.
--
-- A schedule that was changed begins afresh: what its new times would have been in the past was never due.
--
-- KEYS    ticks
-- LANES   none
-- ARGV[1] schedule
-- ARGV[2] identity: says when the schedule fires; or empty, to take it as it is
-- ARGV[3] the instant to begin at, ms
-- RETURN  the last instant, ms
-- LIMIT   O(1)
-- OOM     allowed: a few bytes per schedule, once

local name, identity, first = ARGV[1], ARGV[2], tonumber(ARGV[3])
local last, known = match(call('HGET', k.ticks, name) or '', '^(%-?%d+) ?(%S*)$')
last = tonumber(last)
if last and (identity == '' or known == identity) then return last end
-- Older versions kept no identity: what they left is taken for this schedule's own. Where the clock of
-- whoever judged the last tick is a little ahead, its instant must not come again.
if not last or (known ~= '' and (last < first or last > first + 60000)) then last = first end
local text = string.format('%.0f', last)
call('HSET', k.ticks, name, identity == '' and text or text .. ' ' .. identity)
return last
