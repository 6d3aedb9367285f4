-- due: the members of a set whose time has come, with their envelopes. Changes nothing.
--
-- KEYS[1] delayed or leases  zset  id -> due, ms
-- KEYS[2] jobs               hash  id -> envelope
-- ARGV[1] now, ms, or 0 for the server's
-- ARGV[2] most to return
-- RETURN  {now, id, envelope or '', id, ...}
-- LIMIT   O(log N + M); the caller asks for at most 128
-- OOM     allowed: it only reads

local now = clock(ARGV[1])
local reply = { now }
local ids = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, tonumber(ARGV[2]))
if #ids == 0 then return reply end
local envelopes = redis.call('HMGET', KEYS[2], unpack(ids))
for i, id in ipairs(ids) do
  reply[2 * i], reply[2 * i + 1] = id, envelopes[i] or ''
end
return reply
