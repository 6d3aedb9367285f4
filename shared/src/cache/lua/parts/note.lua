-- A note is what is known about a value: one line of fields, and a line `count tag` for each of its tags. Its text is
-- described in `note.rs`.

-- The fields that scripts look at: what is there (`v` a value, `-` the knowledge that there is none), until when it is
-- fresh, when it was to end, and the epoch that it was written in.
local function noted(note)
  local kind, soft, hard, epoch = match(note, '^([v-]) (%d+) (%d+) %d+ %d+ %d+ %S+ (%d+) ')
  return kind, tonumber(soft), tonumber(hard), epoch
end

-- Whether nothing has invalidated it since it was written: the epoch, which it names, and all of its tags stand as they
-- did. The empty tag is the epoch.
local function stands(note, epoch, tags)
  if not epoch then return false end
  local counts, names = { epoch }, { '' }
  for count, tag in string.gmatch(note, '\n(%d+) ([^\n]+)') do
    counts[#counts + 1], names[#names + 1] = count, tag
  end
  local marks = call('HMGET', tags, unpack(names))
  for i, count in ipairs(counts) do
    if not marks[i] or match(marks[i], '^%d+') ~= count then return false end
  end
  return true
end
