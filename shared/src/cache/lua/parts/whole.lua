-- A time or a span in ms as text. Of '%d' Redis on 32 bits would make nonsense; '%.0f' takes twice as long.
local format, floor = string.format, math.floor
local function whole(ms)
  if ms < 1000 then return format('%d', ms) end
  return format('%d%03d', floor(ms / 1000), ms % 1000)
end

