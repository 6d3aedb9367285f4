-- enqueue: make jobs known, ready now, delayed, or waiting for others.
--
-- KEYS    jobs delayed outcomes claims unique windows locks gone shares serving blocked links lanes bytes door stats
--         terms batches owners open held calls fence offers offered paused
-- LANES   where jobs of this call stand in line
-- ARGV[1] now, ms, or 0 for the server's
-- ARGV[2] wake channel
-- ARGV[3] most open jobs in the queue, or 0
-- ARGV[4] most bytes in the queue, or 0
-- ARGV[5] 1 where nothing is to be taken behind a job that there was no room for
-- ARGV[6] number of lanes, followed by their names in the order of their keys
-- then per job: id, place of its lane and, where there is more to say, a blank and its spec (see parts/put.lua),
--               envelope
-- RETURN  {open jobs, bytes, per job: 1 put | 0 known already | 2 it waits for others | 3 it is delayed
--         | -1 no room for one job more | -2 no room for so many bytes | -3 the queue takes no new jobs
--         | = and the id of the job that it replaced | the id that holds its unique key}
-- LIMIT   O(log N) per job; the caller sends at most 128
-- OOM     refused at the door: a full Redis takes no new work

local now = clock(ARGV[1])
local places = tonumber(ARGV[6])
local room = room_in(k, tonumber(ARGV[3]), tonumber(ARGV[4]))
local closed = call('EXISTS', k.door) == 1
local answers, fresh = { 0, 0 }, 0
local entries, rank = {}, rank_of(now)
for place = 1, places do entries[place] = {} end

-- A job with particulars: the answer to it, and its entry where it is to stand in line now.
local function admit(id, place, spec, envelope)
  local job = { id = id, spec = spec, envelope = envelope, separator = ' ', share = '' }
  local answer = put(k, now, job, room)
  if answer ~= 1 then return answer end
  local entry = rank .. job.separator .. id
  if job.share == '' then return 1, entry end
  if call('EXISTS', LANES[place]) == 0 then call('PUBLISH', ARGV[2], ARGV[6 + place]) end
  join(k, LANES[place], entry, job.share)
  return 1
end

-- A call of few jobs may hand them over; what a message would be too long for waits in its lane.
local may_hand = (#ARGV - 6 - places) / 3 <= 8
local sent, sent_bytes = {}, 0

-- Hands the fresh jobs of a lane over to a worker that waits for such; false if there is none.
local function hand_over(place, list)
  if not may_hand or sent_bytes > 65536 or call('EXISTS', k.offers) == 0 then return false end
  if call('EXISTS', LANES[place]) == 1 or call('EXISTS', k.paused) == 1 then return false end
  local lane = ' ' .. ARGV[6 + place] .. ' '
  -- The latest first: of those that are frozen or gone the offers are old.
  for _, worker in ipairs(call('ZREVRANGEBYSCORE', k.offers, '+inf', now, 'LIMIT', 0, 8)) do
    local nonce, lease, most, channel, lanes =
      match(call('HGET', k.offered, worker) or '', '^(%S+) (%d+) (%d+) (%S+)( .*)$')
    if nonce and #list <= tonumber(most) and find(lanes, lane, 1, true) then
      withdraw(k, worker)
      local claims, message = {}, {}
      for i, entry in ipairs(list) do
        local id = sub(entry, 10)
        claims[2 * i - 1], claims[2 * i] = id, nonce .. ' . 1 0 0'
        message[i] = id .. ' ' .. #sent[id] .. '\n' .. sent[id]
      end
      local fence = next_fence(k, now)
      -- Where nobody hears it the worker is gone, or deaf.
      if call('PUBLISH', channel, string.format('%s %s %.0f\n', nonce, fence, now) .. table.concat(message)) > 0 then
        hand_out(k, now, worker, nonce, tonumber(lease), fence, claims, list)
        call('HINCRBY', k.stats, 'handed', #list)
        return true
      end
    end
  end
  return false
end

local bounded = room.jobs < math.huge or room.bytes < math.huge
local plain_rank = rank .. ' '
for i = 7 + places, #ARGV, 3 do
  local id, what, envelope = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local place, answer, entry = tonumber(what), nil, nil
  if closed then
    place, answer = 0, call('HEXISTS', k.jobs, id) == 1 and 0 or -3
  elseif place and not bounded then
    answer = call('HSETNX', k.jobs, id, envelope)
    if answer == 1 then
      room.used = room.used + #envelope
      entry = plain_rank .. id
    end
  else
    local spec = ''
    if not place then
      local text
      text, spec = match(what, '^(%d+) (.*)$')
      place = tonumber(text)
    end
    answer, entry = admit(id, place, spec, envelope)
    -- One that replaced another has taken its entry out of line, perhaps that of a job of this call.
    if type(answer) == 'string' and byte(answer) == 61 then may_hand = false end
    if (answer == -1 or answer == -2) and ARGV[5] == '1' then room.jobs, room.bytes = 0, 0 end
  end
  if entry then
    if may_hand then
      sent[id], sent_bytes = envelope, sent_bytes + #envelope
      -- The key of such a job is freed by a claim.
      if byte(entry, 9) == 42 then may_hand = false end
    end
    local list = entries[place]
    list[#list + 1] = entry
  end
  if answer == 1 or answer == 2 or answer == 3 then fresh = fresh + 1 end
  answers[#answers + 1] = answer
end
for place, list in ipairs(entries) do
  -- Only the first job of an empty lane wakes anybody: whoever sleeps has seen it empty.
  if #list > 0 and not hand_over(place, list) and call('RPUSH', LANES[place], unpack(list)) == #list then
    call('PUBLISH', ARGV[2], ARGV[6 + place])
  end
end
if places > 0 then call('SADD', k.lanes, unpack(ARGV, 7, 6 + places)) end
if fresh > 0 then
  call('INCRBY', k.bytes, room.used)
  call('HINCRBY', k.stats, 'enqueued', fresh)
end
if closed or room.jobs < 1 or room.bytes < 1 then
  answers[1] = call('HLEN', k.jobs) - call('HLEN', k.outcomes)
  answers[2] = tonumber(call('GET', k.bytes) or '0')
end
return answers
