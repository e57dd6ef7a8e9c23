-- Looks at some frames and counts them, without sending their bodies anywhere. Comes after keys.lua.
-- ARGV: priority, entry after which to begin, last entry to look at, how many, then words.
-- Answers {entry reached or '', messages, frames that need any of the words, {type, frames, ...}}.

local words = {}
for place = 5, #ARGV do
  words[ARGV[place]] = true
end

local entries = redis.call('XRANGE', key('q:' .. ARGV[1]), '(' .. ARGV[2], ARGV[3], 'COUNT', ARGV[4])
local types, messages, matching = {}, 0, 0
for _, entry in ipairs(entries) do
  local name = field(entry[2], 't')
  types[name] = (types[name] or 0) + 1
  messages = messages + messages_of(entry[2])
  if needs_any(entry[2], words) then
    matching = matching + 1
  end
end

local flat = {}
for name, frames in pairs(types) do
  flat[#flat + 1] = name
  flat[#flat + 1] = frames
end
return {#entries > 0 and entries[#entries][1] or '', messages, matching, flat}
