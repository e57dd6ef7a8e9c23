-- Looks at some frames and counts them, without sending their bodies anywhere. Comes after keys.lua.
-- ARGV: priority, entry after which to begin, last entry to look at, how many.
-- Answers {entry reached or '', messages, {type, frames, ...}, {other word, frames, ...}}.

local entries = redis.call('XRANGE', key('q:' .. ARGV[1]), '(' .. ARGV[2], ARGV[3], 'COUNT', ARGV[4])
local types, others, messages = {}, {}, 0

local function flat(counts)
  local list = {}
  for word, count in pairs(counts) do
    list[#list + 1] = word
    list[#list + 1] = count
  end
  return list
end

for _, entry in ipairs(entries) do
  local name, encoding, inside = field(entry[2], 't'), field(entry[2], 'e'), messages_of(entry[2])
  types[name] = (types[name] or 0) + 1
  others[encoding] = (others[encoding] or 0) + 1
  if inside > 1 then
    others['batch'] = (others['batch'] or 0) + 1
  end
  messages = messages + inside
end
return {#entries > 0 and entries[#entries][1] or '', messages, flat(types), flat(others)}
