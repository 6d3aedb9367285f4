-- claim: hand out the jobs that are next in the lanes that the caller can run.
--
-- The lane whose head has the lowest rank is served first; a step of priority counts as much as the ageing
-- time, so that no job waits for ever behind jobs that are merely more urgent. Where a limit is reached, the
-- lanes that it concerns are passed over; a job whose share key is at its limit is parked, and comes back when
-- its key may go on, before all others.
--
-- KEYS    jobs outcomes delayed claims terms batches owners open held calls fence offers offered paused gone serving
--         shares parked waits running rates locks unique
-- LANES   the lanes that the caller can run
-- ARGV[1] now, ms, or 0 for the server's
-- ARGV[2] lease, ms
-- ARGV[3] most jobs to hand out
-- ARGV[4] worker
-- ARGV[5] nonce of this claim
-- ARGV[6] ageing: what a step of priority is worth, ms
-- ARGV[7] most jobs that may be handed over later where there are none now, or 0
-- ARGV[8] how long that offer stands, ms
-- ARGV[9] channel of the worker
-- ARGV[10] number of lanes, followed by their names in the order of their keys
-- then per limit: field (q, k KIND, g), most at once, ms between two starts, starts at once
-- RETURN  {now, ms until something limited may go on, -1 or where it was asked before -2, fence of the first, {id, ...}, {envelope or nil, ...},
--         {place, attempt, blame, ... of those handed out before}}
-- LIMIT   O(log N) per job, plus one look per lane; the caller asks for at most 128 and parks at most 256
-- OOM     allowed: a full Redis must still be drained

local now = clock(ARGV[1])
local most, worker, nonce = tonumber(ARGV[3]), ARGV[4], ARGV[5]
local ageing, places = tonumber(ARGV[6]), tonumber(ARGV[10])

-- A call whose answer was lost is asked again with its nonce, and gets the same jobs. Nonces of a worker begin with a
-- number that grows: one that comes late, by a connection that was given up, is not to bring anything any more.
local last = call('HGET', k.calls, worker)
local offered = match(call('HGET', k.offered, worker) or '', '^%S+')
local is_late = (last and nonce < last) or (offered and nonce < offered)
if is_late and call('HEXISTS', k.open, nonce) == 0 then return { now, -2, '0', {}, {}, {} } end
if last == nonce or is_late then
  local batch = call('HGET', k.batches, nonce) or ''
  local fence, ids, envelopes, before = match(batch, '^(%d+)') or '0', {}, {}, {}
  for id in string.gmatch(batch, '\n........[ *+](%S+)') do
    -- Those that have ended keep their place, for fences are counted by it.
    local text = call('HGET', k.claims, id)
    local claim = holds(text, nonce) and read_claim(text)
    local n = #ids + 1
    ids[n], envelopes[n] = claim and id or '', claim and call('HGET', k.jobs, id) or false
    if claim and (claim.attempt > 1 or claim.blame > 0) then
      for _, value in ipairs({ n, claim.attempt, claim.blame }) do before[#before + 1] = value end
    end
  end
  return { now, -2, fence, ids, envelopes, before }
end
if call('EXISTS', k.offers) == 1 then withdraw(k, worker) end
if call('EXISTS', k.paused) == 1 then return { now, -1, '0', {}, {}, {} } end

local limits, look = {}, nil
for i = 11 + places, #ARGV, 4 do
  limits[ARGV[i]] =
    { most = tonumber(ARGV[i + 1]), interval = tonumber(ARGV[i + 2]), burst = tonumber(ARGV[i + 3]) }
end
-- What is left under each limit that this call met, and what it took of it.
local left, taken = {}, {}
local function free_of(field, limit)
  if not limit then return math.huge end
  if not left[field] then
    local at
    left[field], at = allowed(k, now, field, limit)
    if at and (not look or at < look) then look = at end
    taken[field] = 0
  end
  return left[field]
end
local function use(field, limit)
  if limit then left[field], taken[field] = left[field] - 1, taken[field] + 1 end
end

local lanes = {}
for i = 1, places do
  local name = ARGV[10 + i]
  local kind = match(name, '^[^@:~!]+')
  lanes[i] = { key = LANES[i], name = name, field = 'k ' .. kind, limit = limits['k ' .. kind],
               shared = string.find(name, '~', 1, true) ~= nil,
               bonus = tonumber(match(name, ':(%d+)$') or '0') * ageing }
end

-- Whether an entry that came to the head of its lane stands for nothing any more: it is not of a higher rank than
-- those that were left behind, or its job does not wait (the clock was set back, and the ranks say nothing).
local handed_out = {}
local function was_left(id, rank)
  local n, before = match(call('HGET', k.gone, id) or '', '^(%d+) (%S+)$')
  if not n then return false end
  local waits = rank > before and call('HEXISTS', k.jobs, id) == 1 and call('HEXISTS', k.outcomes, id) == 0
    and not call('ZSCORE', k.delayed, id) and not is_held(read_claim(call('HGET', k.claims, id)))
    and not handed_out[id]
  if waits then return false end
  if n == '1' then call('HDEL', k.gone, id) else call('HSET', k.gone, id, (tonumber(n) - 1) .. ' ' .. before) end
  if call('HINCRBY', k.gone, '', -1) <= 0 then call('HDEL', k.gone, '') end
  return true
end

local ids, taken_from, old, limited = {}, {}, {}, {}
local any_left = call('EXISTS', k.gone) == 1
-- Hands out what stands behind one entry; false if that is nothing, or something that has to wait.
local function admit(lane, entry)
  local id, share = sub(entry, 10), ''
  if lane.shared then id, share = match(id, '^(%S+) (%S*)$') end
  if any_left and was_left(id, sub(entry, 1, 8)) then return false end
  local key = share ~= '' and limits.g and 'g ' .. share or nil
  if key and free_of(key, limits.g) < 1 then
    call('ZADD', k.parked, 0, share .. ' ' .. lane.name .. ' ' .. sub(entry, 1, 9) .. id)
    local _, at = allowed(k, now, key, limits.g, taken[key])
    call('ZADD', k.waits, 'NX', at or '+inf', share)
    return false
  end
  local n = #ids + 1
  ids[n], taken_from[n] = id, entry
  if any_left then handed_out[id] = true end
  local mark = byte(entry, 9)
  if mark == 43 then old[#old + 1] = n end
  if mark == 42 then
    local locked = call('HGET', k.locks, id)
    if locked then
      free(k, locked, id)
      call('HDEL', k.locks, id)
    end
  end
  local under = limits.q and 'q' or ''
  if lane.limit then under = under .. '\1' .. lane.field end
  if key then under = under .. '\1' .. key end
  if under ~= '' then limited[n] = under end
  use('q', limits.q)
  use(lane.field, lane.limit)
  if key then use(key, limits.g) end
  return true
end

-- The same for entries of a list where there is nothing to look at: no limit, and nothing that has left.
local plain = not any_left and next(limits) == nil
local function admit_plain(entries)
  local n = #ids
  for i = 1, #entries do
    local entry = entries[i]
    local mark = byte(entry, 9)
    if mark == 42 then
      admit({ name = '', shared = false, field = '' }, entry)
      n = #ids
    else
      n = n + 1
      ids[n], taken_from[n] = sub(entry, 10), entry
      if mark == 43 then old[#old + 1] = n end
    end
  end
end

local function wanted(lane)
  return math.min(most - #ids, free_of('q', limits.q), free_of(lane.field, lane.limit))
end

-- The first that are parked under these words.
local function parked_in(words, n)
  return call('ZRANGEBYLEX', k.parked, '[' .. words .. ' ', '(' .. words .. '!', 'LIMIT', 0, n)
end

-- Jobs that were parked and whose key may go on. What this caller cannot run stays due for others, behind the keys
-- that are due as well.
local any_parked = call('EXISTS', k.waits) == 1
if any_parked then
  local due = call('ZRANGEBYSCORE', k.waits, '-inf', now, 'LIMIT', 0, 16)
  for _, share in ipairs(due) do
    for _, lane in ipairs(lanes) do
      -- Of those that were taken some may stand for nothing.
      for _ = 1, lane.shared and 8 or 0 do
        local n = math.min(wanted(lane), free_of('g ' .. share, limits.g), 32)
        local found = n >= 1 and parked_in(share .. ' ' .. lane.name, n) or {}
        if #found == 0 then break end
        for _, member in ipairs(found) do
          call('ZREM', k.parked, member)
          admit(lane, sub(member, #share + #lane.name + 3) .. ' ' .. share)
        end
      end
    end
    if #parked_in(share, 1) == 0 then
      call('ZREM', k.waits, share)
    else
      local free, at = math.huge, nil
      if limits.g then free, at = allowed(k, now, 'g ' .. share, limits.g, taken['g ' .. share]) end
      call('ZADD', k.waits, free >= 1 and now or at or '+inf', share)
    end
  end
  if #due == 16 then look = now + 20 end
end

local function head_of(lane)
  local entry
  if lane.shared then entry = call('ZRANGE', lane.key, 0, 0)[1] else entry = call('LINDEX', lane.key, 0) end
  return entry and tonumber(sub(entry, 1, 8), 36) - lane.bonus
end

local heads = {}
for _, lane in ipairs(lanes) do
  lane.rank = head_of(lane)
  if lane.rank then heads[#heads + 1] = lane end
end
-- The last job of its key in a lane: the key has no turn to remember there.
local function end_turn(name, entry, place)
  local turn = name .. ' ' .. match(entry, '%S+$')
  if tonumber(call('HGET', k.shares, turn) or '') == place then call('HDEL', k.shares, turn) end
end
local passes, serving = 0, {}
while #ids < most and #heads > 0 and passes < 384 do
  local best, second = 1, math.huge
  for i = 2, #heads do
    if heads[i].rank < heads[best].rank then
      best, second = i, heads[best].rank
    elseif heads[i].rank < second then
      second = heads[i].rank
    end
  end
  local lane = heads[best]
  local want = wanted(lane)
  if want < 1 then
    table.remove(heads, best)
  else
    local entries = {}
    if lane.shared then
      local popped = call('ZPOPMIN', lane.key, #heads == 1 and want or 1)
      for i = 1, #popped, 2 do
        entries[#entries + 1] = popped[i]
        end_turn(lane.name, popped[i], tonumber(popped[i + 1]))
      end
      if popped[1] then serving[lane.name] = tonumber(popped[#popped]) end
    elseif #heads == 1 then
      entries = call('LPOP', lane.key, want) or {}
    else
      local seen = call('LRANGE', lane.key, 0, math.min(want, 16) - 1)
      local n = 0
      while seen[n + 1] and tonumber(sub(seen[n + 1], 1, 8), 36) - lane.bonus <= second do n = n + 1 end
      entries = call('LPOP', lane.key, math.max(n, 1)) or {}
    end
    if plain and not lane.shared then
      admit_plain(entries)
    else
      for _, entry in ipairs(entries) do admit(lane, entry) end
    end
    passes = passes + math.max(1, #entries)
    lane.rank = head_of(lane)
    if not lane.rank then table.remove(heads, best) end
  end
end
for name, place in pairs(serving) do
  if place > tonumber(call('HGET', k.serving, name) or '0') then call('HSET', k.serving, name, place) end
end
-- Where this call used a rate up, it is known when it allows another start.
for field, n in pairs(taken) do
  if n > 0 and left[field] < 1 and limits[field] then
    local _, at = allowed(k, now, field, limits[field], n)
    if at then look = math.min(look or math.huge, at) end
  end
end
if limits.g or any_parked then
  local at = call('ZRANGEBYSCORE', k.waits, '(' .. now, '(inf', 'WITHSCORES', 'LIMIT', 0, 1)[2]
  if at then look = math.min(look or math.huge, tonumber(at)) end
end
-- There was so much that stands for nothing that the end was not seen.
if #ids == 0 and passes >= 384 and #heads > 0 then look = now end
local wait = look and math.max(1, math.ceil(look - now)) or -1
if #ids == 0 then
  -- What is limited is handed out by claims alone.
  if ARGV[7] ~= '0' and next(limits) == nil and places > 0 and not look then
    local of = table.concat({ nonce, ARGV[2], ARGV[7], ARGV[9], unpack(ARGV, 11, 10 + places) }, ' ')
    offer(k, now, worker, tonumber(ARGV[8]), of .. ' ')
  end
  return { now, wait, '0', {}, {}, {} }
end
for field, n in pairs(taken) do
  take(k, now, field, sub(field, 1, 2) == 'g ' and limits.g or limits[field], n)
end

-- Counted when handed out, not when it fails: a job that takes its worker down has used an attempt.
local fresh = nonce .. ' . 1 0 0'
local claims, before = {}, {}
for i = 1, #ids do
  claims[2 * i - 1] = ids[i]
  claims[2 * i] = limited[i] and nonce .. ' # 1 0 0 ' .. limited[i] or fresh
end
for _, i in ipairs(old) do
  local claim = read_claim(call('HGET', k.claims, ids[i])) or { attempt = 0, blame = 0, lost = 0 }
  claim.nonce, claim.mark, claim.limits = nonce, limited[i] and '#' or '.', limited[i] or ''
  claim.attempt = claim.attempt + 1
  claims[2 * i] = write_claim(claim)
  local n = #before
  before[n + 1], before[n + 2], before[n + 3] = i, claim.attempt, claim.blame
end
local fence = next_fence(k, now)
hand_out(k, now, worker, nonce, tonumber(ARGV[2]), fence, claims, taken_from)
return { now, wait, fence, ids, call('HMGET', k.jobs, unpack(ids)), before }
