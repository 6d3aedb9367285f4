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
-- LIMIT   O(values + tags), at most 64 values of 16 tags
-- OOM     refused

local now = clock(ARGV[1])
local snap = snapshot(ARGV[2], ARGV[3] == '1')
local version, who, keep_ms = ARGV[4], ARGV[5], tonumber(ARGV[6])
local epoch = call('HGET', k.tags, '')
local epoch_count, epoch_xid = match(epoch or '0 - 0', '^(%d+) %S+ (%d+)')

-- What each tag is known to be: values that are filled together have most of them in common.
local marks, lines = {}, {}
local function mark_of(tag)
  if marks[tag] == nil then marks[tag] = call('HGET', k.tags, tag) end
  return marks[tag]
end

-- Nil where nothing is wrong with it.
local function refusal(guard, token, tags)
  local held = call('HMGET', guard, 'lease', 'since', 'mark')
  if held[1] ~= token then return 'lease' end
  local since = tonumber(held[2])
  if not epoch or tonumber(epoch_count) > since then return 'epoch' end
  if snap.is_replica and tonumber(epoch_xid) > snap.xmin then return 'behind' end
  if held[3] and not covers(snap, held[3], since) then return 'behind' end
  for _, tag in ipairs(tags) do
    local mark = mark_of(tag)
    if mark and not covers(snap, mark, since) then return 'behind' end
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
  local all = {}
  for i, tag in ipairs(tags) do
    lines[tag] = lines[tag] or line_of(tag)
    all[i] = lines[tag]
  end
  return table.concat(all)
end

local at, said, told = 7, {}, { filled = 0, none = 0, bytes = 0 }
for i = 1, #EACH / 3 do
  local value, note, guard = EACH[i * 3 - 2], EACH[i * 3 - 1], EACH[i * 3]
  local token, kind, text, life, fresh, cost, params, due, most, count = ARGV[at], ARGV[at + 1], ARGV[at + 2],
    tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4]), ARGV[at + 5], ARGV[at + 6], ARGV[at + 7], tonumber(ARGV[at + 8]),
    tonumber(ARGV[at + 9])
  local tags = {}
  for t = 1, count do tags[t] = ARGV[at + 9 + t] end
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
        call('HSET', guard, 'refused', string.format('%.0f', now))
      end
    else
      if kind == '-' then
        call('UNLINK', value)
        call('ZREM', k.due, params)
        call('ZREM', k.once, params)
        call('ZREMRANGEBYSCORE', k.negatives, '-inf', now)
        verdict = 'none'
        if call('ZCARD', k.negatives) >= most and not call('ZSCORE', k.negatives, params) then
          call('UNLINK', note)
          verdict = 'capped'
        else
          call('ZADD', k.negatives, now + life, params)
        end
      else
        call('SET', value, text, 'PX', life)
        if due == '' then
          call('ZADD', k.once, now + life, params)
          call('ZREM', k.due, params)
        else
          call('ZADD', k.due, now + tonumber(due), params)
          call('ZREM', k.once, params)
        end
        verdict = 'filled'
      end
      if verdict ~= 'capped' then
        local line = string.format('%s %.0f %.0f %.0f %s %d %s %s %s%s %s', kind, now + fresh, now + life, now, cost,
          #text, version, epoch_count, snap.is_replica and 'r:' or 'p:', ARGV[2], who)
        -- Longer than the value, so that what became of it can be told.
        call('SET', note, line .. known(tags), 'PX', life + math.min(life, 600000))
        told.bytes = told.bytes + #text
      end
      if mark then
        call('HDEL', guard, 'lease', 'until', 'since', 'refused')
      else
        call('DEL', guard)
      end
    end
  end
  said[i] = verdict
  told[verdict] = (told[verdict] or 0) + 1
end
for name, by in pairs(told) do
  if by > 0 then call('HINCRBY', k.stats, 'fill_' .. name, by) end
end
if told.filled > 0 then call('HSET', k.stats, 'filled_at', string.format('%.0f', now)) end
return said
