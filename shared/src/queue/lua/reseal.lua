-- reseal: put jobs back that were sealed anew, if they are still what they were.
--
-- One that somebody runs is left alone, for he has said how long it is; so is one that is done and would be longer or
-- shorter than it was, for what is kept of those is counted together.
--
-- KEYS    jobs claims outcomes dead counts bytes
-- LANES   none
-- ARGV    per job: id, envelope as it was read, envelope sealed anew, outcome as it was read or empty, the same sealed anew
-- RETURN  a digit per job: 1 it is sealed anew | 2 somebody runs it | 3 it is done, and goes by itself
--         | 0 it was changed meanwhile, or is gone
-- LIMIT   O(1) per job; the caller sends at most 32
-- OOM     refused at the door: it may take more than it frees

local function put_back(id, was, anew, told, told_anew)
  if call('HGET', k.jobs, id) ~= was then return 0 end
  if is_held(read_claim(call('HGET', k.claims, id))) then return 2 end
  local grown = #anew - #was
  local outcome = call('HGET', k.outcomes, id)
  if outcome then
    if outcome ~= told then return 0 end
    grown = grown + #told_anew - #told
    local is_dead = call('ZSCORE', k.dead, id)
    if not is_dead and grown ~= 0 then return 3 end
    if is_dead and grown ~= 0 then call('HINCRBY', k.counts, 'dead_bytes', grown) end
    call('HSET', k.outcomes, id, told_anew)
  end
  call('HSET', k.jobs, id, anew)
  if grown ~= 0 then call('INCRBY', k.bytes, grown) end
  return 1
end

local answers = {}
for i = 1, #ARGV, 5 do
  answers[#answers + 1] = put_back(ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], ARGV[i + 4])
end
return table.concat(answers)
