-- history: what ended, on its way to the table in Postgres.
--
-- Whoever writes it there says in `history_room` how many bytes may wait, and that somebody wants it at all: where it is
-- absent nothing is told. An entry of the stream `history` has `n`, how many jobs it is about, and
--   d  a line per job (see history.rs), and if not all of them ended  a  a digit per job, 1 for those that did
-- or of one job that a script brought to its end by itself
--   i  its id   e  its envelope   c  its claim, or nothing   o  its outcome
-- Where there is no room the oldest go, and are counted. At most 8 entries per call: the next call goes on.
local function drop_history(k, held, room)
  for _ = 1, 8 do
    if held <= room then return end
    local oldest = call('XRANGE', k.history, '-', '+', 'COUNT', 1)[1]
    if not oldest then return call('HDEL', k.counts, 'history_bytes') end
    local size, jobs, fields = 0, 0, oldest[2]
    for i = 1, #fields, 2 do
      if fields[i] == 'n' then jobs = tonumber(fields[i + 1]) else size = size + #fields[i + 1] end
    end
    call('XDEL', k.history, oldest[1])
    held = call('HINCRBY', k.counts, 'history_bytes', -size)
    call('HINCRBY', k.counts, 'history_dropped', jobs)
    call('HINCRBY', k.stats, 'history_dropped', jobs)
  end
end

local function tell(k, room, n, fields)
  local size = 0
  for i = 2, #fields, 2 do size = size + #fields[i] end
  call('XADD', k.history, '*', 'n', n, unpack(fields))
  drop_history(k, call('HINCRBY', k.counts, 'history_bytes', size), tonumber(room))
end

-- Tells of jobs whose caller says all that there is to say; `answers` has a digit for each.
local function tell_lines(k, n, lines, answers)
  if lines == '' or not find(answers, '1', 1, true) then return end
  local room = call('GET', k.history_room)
  if not room then return end
  local fields = { 'd', lines }
  if find(answers, '[^1]') then fields = { 'd', lines, 'a', answers } end
  tell(k, room, n, fields)
end

-- Tells of a job that a script brings to its end, while its envelope is still there.
local function tell_end(k, id, claim, outcome)
  local room = call('GET', k.history_room)
  if not room then return end
  tell(k, room, 1, { 'i', id, 'e', call('HGET', k.jobs, id) or '', 'c', claim or '', 'o', outcome })
end
