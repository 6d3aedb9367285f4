-- count: how many jobs are where, at one instant. Changes nothing.
--
-- KEYS[1] delayed  zset  id -> due, ms
-- KEYS[2] leases   zset  id -> leased until, ms
-- KEYS[3] done     zset  id -> kept until, ms
-- KEYS[4] dead     zset  id -> died at, ms
-- KEYS[5] inbox    list  envelopes as they were pushed
-- KEYS[6..] ready  zset  id -> rank, one per class
-- ARGV    none
-- RETURN  {delayed, leased, done, dead, in the inbox, ready per class...}
-- LIMIT   O(1) per class
-- OOM     allowed: it only reads. A transaction would be refused, and this is when people look

local sizes = {}
for i, key in ipairs(KEYS) do
  sizes[i] = redis.call(i == 5 and 'LLEN' or 'ZCARD', key)
end
return sizes
