-- revive: take jobs out of the dead letter and make them ready, or due later, with a clean count.
--
-- KEYS    dead outcomes claims lanes stats jobs counts unique delayed gone shares serving bytes
-- LANES   where the jobs are to stand in line
-- ARGV[1] now, ms, or 0 for the server's
-- ARGV[2] wake channel
-- ARGV[3] number of lanes, followed by their names in the order of their keys
-- then per job: id, place of its lane, unique key or empty, share key or empty, delay ms
-- RETURN  per job: 1 ready or delayed again | 0 not in the dead letter, or another live job has its unique key
-- LIMIT   O(log N) per job; the caller sends at most 128
-- OOM     allowed: it moves, it does not add

local now, places = clock(ARGV[1]), tonumber(ARGV[3])
local answers, revived = {}, 0
if places > 0 then call('SADD', k.lanes, unpack(ARGV, 4, 3 + places)) end

-- As in put.lua: a lock never outlives its job, nor its window.
local function taken(key, id)
  local text = key ~= '' and call('HGET', k.unique, key)
  local holder = text and (match(text, '^(%S+)') or text)
  if not holder or holder == id or call('HEXISTS', k.jobs, holder) == 0 then return false end
  local ends = tonumber(match(text, ' (%d+)$') or '0')
  if ends > 0 then return now < ends end
  return call('HEXISTS', k.outcomes, holder) == 0
end

for i = 4 + places, #ARGV, 5 do
  local id, key, delay = ARGV[i], ARGV[i + 2], tonumber(ARGV[i + 4])
  local found = 0
  if not taken(key, id) and call('ZSCORE', k.dead, id) then
    call('HINCRBY', k.counts, 'dead_bytes', -size_of(k, id))
    call('DECRBY', k.bytes, call('HSTRLEN', k.outcomes, id))
    call('ZREM', k.dead, id)
    call('HDEL', k.outcomes, id)
    call('HDEL', k.claims, id)
    if key ~= '' then call('HSET', k.unique, key, string.format('%s %.0f 0', id, now)) end
    if delay > 0 then
      call('ZADD', k.delayed, now + delay, id)
    else
      join(k, LANES[tonumber(ARGV[i + 1])], rank_anew(k, id, rank_of(now)) .. ' ' .. id, ARGV[i + 3])
    end
    revived, found = revived + 1, 1
  end
  answers[#answers + 1] = found
end
if revived > 0 then
  call('HINCRBY', k.stats, 'revived', revived)
  for place = 1, places do call('PUBLISH', ARGV[2], ARGV[3 + place]) end
end
return answers
