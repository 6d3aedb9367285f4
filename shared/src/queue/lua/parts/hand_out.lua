-- hand_out: what is written down when jobs are handed out, and the offers of workers that wait for some.
--
-- A worker that found nothing leaves an offer: so many jobs of these lanes may be handed to it under the nonce of
-- that claim, for a while. Whoever enqueues a job that nobody stands before hands it over by its channel, and so
-- saves it the way from the bell to the next claim. Where the message is lost nothing else is: the worker asks
-- again with its nonce, as it does where an answer was lost, and is given the same jobs.

-- The offer of a worker: nonce, lease in ms, most jobs, channel, and its lanes between blanks.
local function offer(k, now, worker, stands, text)
  call('ZADD', k.offers, now + stands, worker)
  call('HSET', k.offered, worker, text)
end

local function withdraw(k, worker)
  if call('HDEL', k.offered, worker) == 1 then call('ZREM', k.offers, worker) end
end

-- The fence of the first job that is handed out next, as text.
local function next_fence(k, now)
  return string.format('%.0f', math.max(tonumber(call('GET', k.fence) or '0') + 1, now * 1000))
end

-- Writes down that `worker` has these jobs now, from `fence` on; `claims` is what `claims` is to hold of them, id
-- after id, and `entries` are those that they had in their lanes.
local function hand_out(k, now, worker, nonce, lease, fence, claims, entries)
  local n = #entries
  -- A small hash with small values is searched from its beginning for each of them; one long value makes it a table.
  if call('EXISTS', k.claims) == 0 then call('HSET', k.claims, '', string.rep('-', 65)) end
  call('HSET', k.claims, unpack(claims))
  call('ZADD', k.terms, now + lease, nonce)
  call('HSET', k.batches, nonce, fence .. '\n' .. table.concat(entries, '\n'))
  call('HSET', k.owners, nonce, string.format('%s %.0f', worker, now))
  call('HSET', k.open, nonce, n)
  call('HINCRBY', k.held, worker, n)
  call('HSET', k.calls, worker, nonce)
  call('SET', k.fence, string.format('%.0f', tonumber(fence) + n - 1))
end
