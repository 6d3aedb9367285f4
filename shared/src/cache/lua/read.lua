-- read: a value and how good it is; where there is none, or an old one, whoever comes first asks for it.
--
-- KEYS clock tags asks asked stats hot
-- EACH    value, note and guard
-- ARGV    now, name of the warmer, parameters, lease ms, token to ask with or '' to ask for nothing, 1 to count this
--         read, by how much to count it among the hot
-- RETURN  state, value, fresh for ms (below 0 if it was), why it is missing
--         state   fresh | stale | none: known to be absent | asked: missing, and asked for just now | busy: missing,
--                 and somebody loads it | missing
--         why     cold | expired | evicted | invalidated | refused, or '' where nothing is missing
-- LIMIT   O(tags of the value)
-- OOM     allowed

-- So much may wait to be loaded, three texts each. Where nobody works, readers are not to fill the memory.
local ASKS_MAX = 30000

local now = clock(ARGV[1])
local value, note, guard = EACH[1], EACH[2], EACH[3]
local both = call('MGET', value, note)
local text, told = both[1], both[2]
local held
local kind, soft, hard, epoch
if told then kind, soft, hard, epoch = noted(told) end
local is_standing = told and stands(told, epoch, k.tags)

local state, why = 'missing', ''
if not (is_standing and now < soft and (text or kind == '-')) then
  held = call('HMGET', guard, 'lease', 'until', 'mark', 'refused')
end
if is_standing and kind == '-' and now < soft then
  state = 'none'
elseif is_standing and kind == 'v' and text then
  state = now < soft and 'fresh' or 'stale'
elseif told and not is_standing then
  why = 'invalidated'
elseif told then
  why = now < hard and kind == 'v' and 'evicted' or 'expired'
elseif held[4] then
  why = 'refused'
elseif held[3] then
  why = 'invalidated'
else
  -- A value that nobody knows anything about lost its note.
  why = text and 'evicted' or 'cold'
end

if ARGV[6] == '1' then
  call('HINCRBY', k.stats, 'read_' .. (state == 'missing' and why or state), 1)
end
if tonumber(ARGV[7]) > 0 then sample(k.hot, ARGV[3], tonumber(ARGV[7])) end

if state == 'stale' or state == 'missing' then
  local is_leased = held[1] and tonumber(held[2]) > now
  if not is_leased and ARGV[5] ~= '' and call('LLEN', k.asks) < ASKS_MAX then
    call('HSET', guard, 'lease', ARGV[5], 'until', string.format('%.0f', now + tonumber(ARGV[4])), 'since',
      count_of(k.clock))
    local keep = tonumber(ARGV[4]) + 60000
    if call('PTTL', guard) < keep then call('PEXPIRE', guard, keep) end
    call('RPUSH', k.asks, ARGV[5], value, ARGV[3])
    call('PUBLISH', k.asked, ARGV[2])
    if state == 'missing' then state = 'asked' end
  elseif is_leased and state == 'missing' then
    state = 'busy'
  end
end
local is_there = state == 'fresh' or state == 'stale'
return { state, is_there and text or '', soft and soft - now or 0, why }
