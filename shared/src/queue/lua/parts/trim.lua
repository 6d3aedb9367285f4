-- trim: forgets the jobs that a set no longer has room or time for. Bounded by `most`.
-- Returns how many went.
local function forget(set, jobs, outcomes, claims, trail, ids)
  if #ids == 0 then return 0 end
  redis.call('ZREM', set, unpack(ids))
  redis.call('HDEL', jobs, unpack(ids))
  redis.call('HDEL', outcomes, unpack(ids))
  redis.call('HDEL', claims, unpack(ids))
  redis.call('HDEL', trail, unpack(ids))
  return #ids
end

-- `until_score`: members at or below it have had their time.
local function trim(set, jobs, outcomes, claims, trail, until_score, room, most)
  local gone = forget(set, jobs, outcomes, claims, trail,
    redis.call('ZRANGEBYSCORE', set, '-inf', until_score, 'LIMIT', 0, most))
  local over = math.min(redis.call('ZCARD', set) - room, most)
  if over > 0 then
    gone = gone + forget(set, jobs, outcomes, claims, trail, redis.call('ZRANGE', set, 0, over - 1))
  end
  return gone
end
