-- note: keep what a running job says about itself, if the caller still holds it.
--
-- KEYS    claims notes logs
-- LANES   none
-- ARGV[1] id
-- ARGV[2] nonce
-- ARGV[3] its progress, or empty
-- ARGV[4] lines for its log, or empty
-- ARGV[5] most bytes of its log; the oldest go first
-- RETURN  1 kept | 0 the claim was lost to another worker
-- LIMIT   O(1)
-- OOM     allowed: bounded, and gone with the job

local id = ARGV[1]
if not holds(call('HGET', k.claims, id), ARGV[2]) then return 0 end
if ARGV[3] ~= '' then call('HSET', k.notes, id, ARGV[3]) end
if ARGV[4] ~= '' then
  local log = call('HGET', k.logs, id) or ''
  call('HSET', k.logs, id, sub(log .. ARGV[4], -tonumber(ARGV[5])))
end
return 1
