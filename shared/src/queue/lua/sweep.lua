-- sweep: forget ended jobs that there is no longer room or time for, also where nothing ends any more.
--
-- KEYS    jobs outcomes claims trail notes logs done kept dead counts unique windows rates stats
--         bytes
-- LANES   none
-- ARGV[1] now, ms, or 0 for the server's
-- ARGV[2] most done jobs to keep
-- ARGV[3] most bytes of done jobs to keep, or 0
-- ARGV[4] most dead jobs to keep
-- ARGV[5] most bytes of dead jobs to keep, or 0
-- ARGV[6] how long to keep dead jobs, ms
-- ARGV[7] most jobs to forget for each of these reasons
-- RETURN  how many jobs were forgotten, or rates or windows if they were more
-- LIMIT   O(log N) per job; the caller asks for at most 128
-- OOM     allowed: it frees

local now, most = clock(ARGV[1]), tonumber(ARGV[7])
local done = trim_done(k, now, tonumber(ARGV[2]), tonumber(ARGV[3]), most)
local dead = trim_dead(k, now - tonumber(ARGV[6]), tonumber(ARGV[4]), tonumber(ARGV[5]), most)
-- Rates that are idle again say nothing.
local idle = call('ZRANGEBYSCORE', k.rates, '-inf', now, 'LIMIT', 0, most)
if #idle > 0 then call('ZREM', k.rates, unpack(idle)) end
-- Neither do windows that are over, unless their key was taken anew.
local over = call('ZRANGEBYSCORE', k.windows, '-inf', now, 'LIMIT', 0, most)
for _, key in ipairs(over) do
  local ends = match(call('HGET', k.unique, key) or '', ' (%d+)$')
  if ends and tonumber(ends) > 0 and tonumber(ends) <= now then call('HDEL', k.unique, key) end
end
if #over > 0 then call('ZREM', k.windows, unpack(over)) end
return math.max(done + dead, #idle, #over)
