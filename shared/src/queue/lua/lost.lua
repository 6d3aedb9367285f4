-- lost: the jobs whose lease has run out, with what is known of them. Changes nothing.
--
-- KEYS    jobs claims terms batches leases
-- LANES   none
-- ARGV[1] now, ms, or 0 for the server's
-- ARGV[2] most to return
-- RETURN  {number of claims that are over, their nonces, id, envelope or '', ...}
-- LIMIT   O(log N + M); the caller asks for at most 128
-- OOM     allowed: it only reads

local now, most = clock(ARGV[1]), tonumber(ARGV[2])
local ids = call('ZRANGEBYSCORE', k.leases, '-inf', now, 'LIMIT', 0, most)
local over = {}
for _, nonce in ipairs(call('ZRANGEBYSCORE', k.terms, '-inf', now, 'LIMIT', 0, 16)) do
  local mine = {}
  for id in string.gmatch(call('HGET', k.batches, nonce) or '', '\n........[ *+](%S+)') do
    if holds(call('HGET', k.claims, id), nonce) and not call('ZSCORE', k.leases, id) then
      mine[#mine + 1] = id
    end
  end
  -- A claim is judged as a whole.
  if #ids > 0 and #ids + #mine > most then break end
  over[#over + 1] = nonce
  for _, id in ipairs(mine) do ids[#ids + 1] = id end
end
local reply = { #over }
for _, nonce in ipairs(over) do reply[#reply + 1] = nonce end
for i = 1, #ids, 128 do
  local last = math.min(i + 127, #ids)
  local envelopes = call('HMGET', k.jobs, unpack(ids, i, last))
  for n = i, last do
    reply[#reply + 1] = ids[n]
    reply[#reply + 1] = envelopes[n - i + 1] or ''
  end
end
return reply
