-- put: makes one job known. Shared by everything that enqueues, so that no door has rules of its own.
-- k: jobs, delayed, done, dead, unique  |  returns 1 put | 0 known already | the id that holds the unique key
local function put(k, ready, now, id, due, key, envelope)
  if redis.call('HEXISTS', k.jobs, id) == 1 then return 0 end
  if key ~= '' then
    local holder = redis.call('HGET', k.unique, key)
    -- The lock never outlives its job: it binds only while that job is neither done nor dead nor gone.
    if holder and redis.call('HEXISTS', k.jobs, holder) == 1
       and not redis.call('ZSCORE', k.done, holder) and not redis.call('ZSCORE', k.dead, holder) then
      return holder
    end
    redis.call('HSET', k.unique, key, id)
  end
  redis.call('HSET', k.jobs, id, envelope)
  if due > now then
    redis.call('ZADD', k.delayed, due, id)
  else
    redis.call('ZADD', ready, now, id)
  end
  return 1
end
