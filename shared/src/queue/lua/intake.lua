-- intake: move entries from the inbox, where any language may push, to where they belong.
--
-- KEYS    jobs delayed outcomes claims unique windows locks gone shares serving blocked links lanes bytes door stats
--         inbox dead counts trail notes logs history history_room
-- LANES   where jobs of this call stand in line
-- ARGV[1] now, ms, or 0 for the server's
-- ARGV[2] wake channel
-- ARGV[3] most open jobs in the queue, or 0
-- ARGV[4] most bytes in the queue, or 0
-- ARGV[5] number of lanes, followed by their names in the order of their keys
-- then per entry: as pushed, id, place of its lane or 0 if it cannot be read, spec (see parts/put.lua),
--                 envelope, or the outcome if it cannot be read
-- RETURN  {how many entries left the inbox, how many of them changed nothing}
-- LIMIT   O(log N) per entry; the caller sends at most 128
-- OOM     refused at the door, as for any new work; the entries stay in the inbox

local now, places = clock(ARGV[1]), tonumber(ARGV[5])
local moved, fresh, dead, idle, wake = 0, 0, 0, 0, {}
if call('EXISTS', k.door) == 1 then return { 0, 0 } end
local room = room_in(k, tonumber(ARGV[3]), tonumber(ARGV[4]))
if places > 0 then call('SADD', k.lanes, unpack(ARGV, 6, 5 + places)) end
for i = 6 + places, #ARGV, 5 do
  -- Several workers drain the inbox: the head must still be the entry that the caller read.
  if call('LINDEX', k.inbox, 0) ~= ARGV[i] then break end
  local id, place = ARGV[i + 1], tonumber(ARGV[i + 2])
  if place == 0 then
    call('HSET', k.jobs, id, ARGV[i])
    call('INCRBY', k.bytes, #ARGV[i])
    tell_end(k, id, nil, ARGV[i + 4])
    keep_dead(k, now, id, ARGV[i + 4])
    dead = dead + 1
  else
    local job = { id = id, spec = ARGV[i + 3], envelope = ARGV[i + 4], separator = ' ', share = '' }
    local answer = put(k, now, job, room)
    -- No room: it stays where it is, and so does what was pushed after it.
    if answer == -1 or answer == -2 then break end
    if answer == 1 then
      join(k, LANES[place], rank_of(now) .. job.separator .. id, job.share)
      wake[place] = true
    end
    if answer == 1 or answer == 2 or answer == 3 then fresh = fresh + 1 else idle = idle + 1 end
  end
  call('LPOP', k.inbox)
  moved = moved + 1
end
if room.used > 0 then call('INCRBY', k.bytes, room.used) end
if fresh > 0 then call('HINCRBY', k.stats, 'enqueued', fresh) end
if dead > 0 then call('HINCRBY', k.stats, 'dead', dead) end
if idle > 0 then call('HINCRBY', k.stats, 'duplicates', idle) end
for place in pairs(wake) do call('PUBLISH', ARGV[2], ARGV[5 + place]) end
return { moved, idle }
