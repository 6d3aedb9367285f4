-- fill: puts values into the cache, if what they were read from covers everything that invalidated them.
--
-- A value is taken from whoever holds its lease, and only if the snapshot that it was read from has seen every
-- transaction which invalidated the value or one of its tags since the lease was taken (on a replica: ever). Before
-- there is an epoch, and with a lease from before it, nothing is taken: what was known about invalidations was lost.
--
-- KEYS clock tags tag_ends due once negatives stats
-- EACH    value, note and guard of each value
-- ARGV    now, snapshot, 1 if a replica was read, version, who, how long tags are kept, ms; then for each value: its
--         lease, what it is (`v` a value, `-` there is none, `x` let go of the lease), the value, life ms, fresh for
--         ms, cost us, parameters, due in ms or '' if it is not kept warm (of `x`: if that stays as it is), refused as
--         `none` above so many negatives, number of tags, tags
-- RETURN  for each value: filled, none, capped, released, or why not: lease, epoch, behind
-- LIMIT   O(values + tags), at most 128 values of 25 tags
-- OOM     refused

local now = clock(ARGV[1])
local now_text = whole(now)
local snap = snapshot(ARGV[2], ARGV[3] == '1')
local version, who, keep_ms = ARGV[4], ARGV[5], tonumber(ARGV[6])
local epoch = call('HGET', k.tags, '')
local epoch_count, epoch_xid = match(epoch or '0 - 0', '^(%d+) %S+ (%d+)')
local epoch_number = tonumber(epoch_count)

-- What each tag is known to be, and the lease under which that is covered: values that are filled together have most of
-- it in common.
local marks, lines, covered = {}, {}, {}
local function mark_of(tag)
  if marks[tag] == nil then marks[tag] = call('HGET', k.tags, tag) end
  return marks[tag]
end

-- Nil where nothing is wrong with it.
local function refusal(guard, token, tags)
  local held = call('HMGET', guard, 'lease', 'since', 'mark')
  if held[1] ~= token then return 'lease' end
  local since = tonumber(held[2])
  if not epoch or epoch_number > since then return 'epoch' end
  if snap.is_replica and tonumber(epoch_xid) > snap.xmin then return 'behind' end
  if held[3] and not covers(snap, held[3], since) then return 'behind' end
  for _, tag in ipairs(tags) do
    local mark = mark_of(tag)
    if mark and covered[tag] ~= held[2] then
      if not covers(snap, mark, since) then return 'behind' end
      covered[tag] = held[2]
    end
  end
  return nil, held[3]
end

-- The lines of a note about its tags. A tag that nobody knows yet begins here: one that is lost is not mistaken for
-- one that was never invalidated.
local function line_of(tag)
  local mark = mark_of(tag)
  if not mark then
    mark = tick(k.clock) .. ' 0'
    call('HSET', k.tags, tag, mark)
    marks[tag] = mark
  end
  call('ZADD', k.tag_ends, 'GT', now + keep_ms, tag)
  return '\n' .. match(mark, '^%d+') .. ' ' .. tag
end

local function known(tags)
  local all = ''
  for _, tag in ipairs(tags) do
    local line = lines[tag]
    if not line then
      line = line_of(tag)
      lines[tag] = line
    end
    all = all .. line
  end
  return all
end

-- What notes have in common.
local tail = table.concat({ version, epoch_count, (snap.is_replica and 'r:' or 'p:') .. ARGV[2], who }, ' ')

-- What is done alike to many values is done to all of them at once.
local dues, onces, not_due, not_once, free = {}, {}, {}, {}, {}
local function add(list, one, other)
  list[#list + 1] = one
  if other then list[#list + 1] = other end
end

local argv, at, said, told = ARGV, 7, {}, { filled = 0, none = 0, bytes = 0 }
for i = 1, #EACH / 3 do
  local value, note, guard = EACH[i * 3 - 2], EACH[i * 3 - 1], EACH[i * 3]
  local token, kind, text, life, fresh, cost, params, due, most, count = argv[at], argv[at + 1], argv[at + 2],
    tonumber(argv[at + 3]), tonumber(argv[at + 4]), argv[at + 5], argv[at + 6], argv[at + 7], argv[at + 8],
    tonumber(argv[at + 9])
  local tags = {}
  for t = 1, count do tags[t] = argv[at + 9 + t] end
  at = at + 10 + count
  local verdict
  if kind == 'x' then
    if call('HGET', guard, 'lease') == token then
      call('HDEL', guard, 'lease', 'until', 'since')
      if due ~= '' then call('ZADD', k.due, 'XX', now + tonumber(due), params) end
    end
    verdict = 'released'
  else
    local mark
    verdict, mark = refusal(guard, token, tags)
    if verdict then
      -- Somebody else may try at once.
      if verdict ~= 'lease' then
        call('HDEL', guard, 'lease', 'until', 'since')
        call('HSET', guard, 'refused', now_text)
      end
    else
      if kind == '-' then
        call('UNLINK', value)
        add(not_due, params)
        add(not_once, params)
        call('ZREMRANGEBYSCORE', k.negatives, '-inf', now)
        verdict = 'none'
        if call('ZCARD', k.negatives) >= tonumber(most) and not call('ZSCORE', k.negatives, params) then
          call('UNLINK', note)
          verdict = 'capped'
        else
          call('ZADD', k.negatives, now + life, params)
        end
      else
        call('SET', value, text, 'PX', whole(life))
        if due == '' then
          add(onces, whole(now + life), params)
          add(not_due, params)
        else
          add(dues, whole(now + tonumber(due)), params)
          add(not_once, params)
        end
        verdict = 'filled'
      end
      if verdict ~= 'capped' then
        local line = kind .. ' ' .. whole(now + fresh) .. ' ' .. whole(now + life) .. ' ' .. now_text .. ' ' .. cost
          .. ' ' .. #text .. ' ' .. tail
        -- Longer than the value, so that what became of it can be told.
        call('SET', note, line .. known(tags), 'PX', whole(life + math.min(life, 600000)))
        told.bytes = told.bytes + #text
      end
      if mark then
        call('HDEL', guard, 'lease', 'until', 'since', 'refused')
      else
        add(free, guard)
      end
    end
  end
  said[i] = verdict
  told[verdict] = (told[verdict] or 0) + 1
end
if #dues > 0 then call('ZADD', k.due, unpack(dues)) end
if #onces > 0 then call('ZADD', k.once, unpack(onces)) end
if #not_due > 0 then call('ZREM', k.due, unpack(not_due)) end
if #not_once > 0 then call('ZREM', k.once, unpack(not_once)) end
if #free > 0 then call('DEL', unpack(free)) end
for name, by in pairs(told) do
  if by > 0 then call('HINCRBY', k.stats, 'fill_' .. name, by) end
end
if told.filled > 0 then call('HSET', k.stats, 'filled_at', now_text) end
return said
