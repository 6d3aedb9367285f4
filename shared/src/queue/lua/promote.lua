-- promote: make delayed jobs ready.
--
-- A job takes its place by when it was due, or now if it is not due yet. One that was lost with its worker
-- keeps the place that it had, for it has waited once already; one that was lost again does not, lest it take
-- the same company down first thing each time.
--
-- KEYS    delayed claims lanes locks blocked gone shares serving
-- LANES   where the jobs are to stand in line
-- ARGV[1] now, ms, or 0 for the server's
-- ARGV[2] wake channel
-- ARGV[3] only jobs due at or before this instant, ms; or +inf, which also starts those that wait for others
-- ARGV[4] number of lanes, followed by their names in the order of their keys
-- then per job: id, place of its lane, share key or empty
-- RETURN  how many became ready
-- LIMIT   O(log N) per job; the caller sends at most 128
-- OOM     allowed: it moves, it does not add

local now, places = clock(ARGV[1]), tonumber(ARGV[4])
local latest = ARGV[3] == '+inf' and math.huge or tonumber(ARGV[3])
local moved, wake, ends, first = 0, {}, {}, {}
-- Since when the first of a lane could have started, and the last.
local function ends_of(place, share)
  if ends[place] == nil then
    local head, tail = false, false
    if share == '' then head, tail = call('LINDEX', LANES[place], 0), call('LINDEX', LANES[place], -1) end
    ends[place] = { head and sub(head, 1, 8) or '', tail and sub(tail, 1, 8) or '' }
  end
  return unpack(ends[place])
end
if places > 0 then call('SADD', k.lanes, unpack(ARGV, 5, 4 + places)) end
for i = 5 + places, #ARGV, 3 do
  local id, place = ARGV[i], tonumber(ARGV[i + 1])
  local due = call('ZSCORE', k.delayed, id)
  if not due and latest == math.huge and call('HDEL', k.blocked, id) == 1 then due = now end
  if due and tonumber(due) <= latest then
    local claim = read_claim(call('HGET', k.claims, id))
    call('ZREM', k.delayed, id)
    local back = claim ~= nil and claim.nonce == '~' and claim.lost <= 1 and claim.rank ~= '0'
    local rank = rank_anew(k, id, back and claim.rank or rank_of(math.min(tonumber(due), now)))
    local separator = claim and '+' or call('HEXISTS', k.locks, id) == 1 and '*' or ' '
    if call('EXISTS', LANES[place]) == 0 then wake[place] = true end
    local head, tail = ends_of(place, ARGV[i + 2])
    -- A lane has no way into its middle: who has waited once goes before others that were lost, rather than behind all.
    if rank < head or (back and (rank <= tail or ARGV[i + 2] ~= '')) then
      first[#first + 1] = { rank = rank, entry = rank .. separator .. id, lane = LANES[place], share = ARGV[i + 2] }
    else
      join(k, LANES[place], rank .. separator .. id, ARGV[i + 2])
    end
    moved = moved + 1
  end
end
-- What could have started before all that wait goes before them; the oldest last, so that it comes first.
table.sort(first, function(left, right) return left.rank > right.rank end)
for _, job in ipairs(first) do join(k, job.lane, job.entry, job.share, true) end
for place in pairs(wake) do call('PUBLISH', ARGV[2], ARGV[4 + place]) end
return moved
