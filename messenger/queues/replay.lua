-- Puts letters back at the end of their streams. Comes after frames.lua.
-- ARGV: dead or quarantine, bound, window for message ids (ms), then for each letter: id, and '' or 1 with the type,
-- encoding, messages and body that take the place of its own.
-- Answers with the number put back; those that are not admitted stay. {'full', frames held} where it would pass the bound.

local kind = ARGV[1]
local ready = {}

local function frame_of(fields)
  local frame = {}
  for _, name in ipairs({'t', 'e', 'n', 'r', 'f', 's', 'b'}) do
    frame[#frame + 1] = name
    frame[#frame + 1] = field(fields, name)
  end
  return frame
end

local place = 4
while place <= #ARGV do
  local id, rewritten = ARGV[place], ARGV[place + 1] == '1'
  local entry = redis.call('HGET', key(kind .. ':ids'), id)
  local letter = entry and redis.call('XRANGE', key(kind), entry, entry)[1]
  if letter then
    local frame = frame_of(letter[2])
    if rewritten then
      frame[2], frame[4], frame[6], frame[14] = ARGV[place + 2], ARGV[place + 3], ARGV[place + 4], ARGV[place + 5]
    end
    if admitted(frame) then
      ready[#ready + 1] = {id = id, entry = entry, priority = field(letter[2], 'p'), frame = frame}
    end
  end
  place = place + (rewritten and 6 or 2)
end

local held = frames_held()
if #ready > 0 and held + #ready > tonumber(ARGV[2]) then
  return {'full', held}
end

local counts = tally(key('counts'))
local sets = turns('done', tonumber(ARGV[3]))
for _, letter in ipairs(ready) do
  redis.call('XADD', key('q:' .. letter.priority), '*', unpack(letter.frame))
  count_frame(counts, letter.priority, letter.frame, 1)
  redis.call('XDEL', key(kind), letter.entry)
  redis.call('HDEL', key(kind .. ':ids'), letter.id)
  for _, set in ipairs(kind == 'dead' and sets or {}) do
    redis.call('SREM', set, letter.id)
  end
end
counts.write()
return #ready
