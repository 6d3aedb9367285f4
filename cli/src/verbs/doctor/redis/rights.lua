#!lua flags=no-writes,allow-stale
-- rights: which of these commands may this user not run? Runs none of them.
--
-- ARGV    commands, their words separated by line breaks
-- RETURN  the places of those that are refused or unknown, from 1

local refused = {}
for place = 1, #ARGV do
  local words = {}
  for word in string.gmatch(ARGV[place], '[^\n]+') do
    words[#words + 1] = word
  end
  local known, allowed = pcall(redis.acl_check_cmd, unpack(words))
  if not (known and allowed) then
    refused[#refused + 1] = place
  end
end
return refused
