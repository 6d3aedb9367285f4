-- add: puts rows behind the others in their stream, all of them or none.
--
-- KEYS stream
-- TOLD    where it is remembered what was answered, should the answer be lost
-- ARGV    how many entries the stream may have, 1 to let the oldest go for it, for how long the answer is remembered,
--         ms; who numbers the rows, or '', and the number of the first; then the rows
-- RETURN  how many had to go, or -1: there is no room
-- LIMIT   O(rows), at most 500
-- OOM     refused

local told = call('GET', TOLD[1])
if told then return tonumber(told) end
local most, rows = tonumber(ARGV[1]), #ARGV - 5
local is_over = call('XLEN', k.stream) + rows > most
if is_over and ARGV[2] ~= '1' then return -1 end
local producer, first = ARGV[4], tonumber(ARGV[5])
for i = 6, #ARGV do
  if producer == '' then
    call('XADD', k.stream, '*', 'd', ARGV[i])
  else
    call('XADD', k.stream, '*', 'd', ARGV[i], 'p', producer, 'n', string.format('%.0f', first + i - 6))
  end
end
local dropped = is_over and call('XTRIM', k.stream, 'MAXLEN', most) or 0
call('SET', TOLD[1], dropped, 'PX', ARGV[3])
return dropped
