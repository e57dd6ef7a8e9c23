-- Tells which messages were dealt with before. Comes after keys.lua.
-- ARGV: window for message ids (ms), then the ids. Answers with 1 or 0 for each.

local names = {}
for place = 2, #ARGV do
  names[place - 1] = ARGV[place]
end
local found = remembered(turns('done', tonumber(ARGV[1])), names)
local answer = {}
for place, name in ipairs(names) do
  answer[place] = found[name] and 1 or 0
end
return answer
