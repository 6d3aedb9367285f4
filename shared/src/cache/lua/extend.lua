-- extend: lets values live on that could not be loaded again, and lets go of their leases.
--
-- KEYS due once
-- EACH    value, note and guard of each value
-- ARGV    now, lives for ms beyond being fresh, for ms from now at most, due again in ms; then for each value: its
--         lease or '', its parameters
-- RETURN  how many were extended
-- LIMIT   O(values), at most 128
-- OOM     allowed

local now, beyond, most, again = clock(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local count = 0
for i = 1, #EACH / 3 do
  local value, note, guard = EACH[i * 3 - 2], EACH[i * 3 - 1], EACH[i * 3]
  local token, params = ARGV[3 + i * 2], ARGV[4 + i * 2]
  if token ~= '' and call('HGET', guard, 'lease') == token then
    call('HDEL', guard, 'lease', 'until', 'since')
  end
  local told = call('GET', note)
  if told then
    local _, soft = noted(told)
    local left = math.min(soft + beyond - now, most)
    -- Never shorter: only EXPIRE touches what stands there, so an invalidation is never undone.
    if left > 0 and call('PTTL', value) > 0 and call('PEXPIRE', value, left, 'GT') == 1 then
      call('PEXPIRE', note, left + math.min(left, 600000), 'GT')
      call('ZADD', k.once, 'XX', 'GT', now + left, params)
      count = count + 1
    end
  end
  call('ZADD', k.due, 'XX', now + again, params)
end
return count
