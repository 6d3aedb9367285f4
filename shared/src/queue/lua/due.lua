-- due: the delayed jobs whose time has come, with what is known of them. Changes nothing.
--
-- KEYS    delayed jobs claims
-- LANES   none
-- ARGV[1] now, ms, or 0 for the server's
-- ARGV[2] most to return
-- RETURN  {now, id, envelope or '', how many holders it was lost with, id, ...}
-- LIMIT   O(log N + M); the caller asks for at most 128
-- OOM     allowed: it only reads

local now = clock(ARGV[1])
local reply = { now }
local ids = call('ZRANGEBYSCORE', k.delayed, '-inf', now, 'LIMIT', 0, tonumber(ARGV[2]))
if #ids == 0 then return reply end
local envelopes = call('HMGET', k.jobs, unpack(ids))
local claims = call('HMGET', k.claims, unpack(ids))
for i, id in ipairs(ids) do
  local claim = read_claim(claims[i] or nil)
  reply[3 * i - 1], reply[3 * i], reply[3 * i + 1] = id, envelopes[i] or '', claim and claim.lost or 0
end
return reply
