-- Appends frames: all that are admitted and new, or none where they would pass the bound. Comes after keys.lua.
-- ARGV: bound, or -1 for none, window for frame ids (ms), then for each frame: priority, frame id, type, encoding,
-- messages, revision, sender, body.
-- Answers 1, or {'refused', places of the refused from 0, what is admitted}, {'full', frames held}, {'unopened'}.

local WIDTH = 8

if redis.call('EXISTS', key('opened')) == 0 then
  return {'unopened'}
end

local admits, ids, frames, refused, fresh, names = {}, {}, {}, {}, {}, {}
for _, word in ipairs(redis.call('SMEMBERS', key('admits'))) do
  admits[word] = true
end

for from = 3, #ARGV, WIDTH do
  local place = #frames + 1
  ids[place] = ARGV[from + 1]
  frames[place] = {priority = ARGV[from], id = ARGV[from + 1], fields = {
    't', ARGV[from + 2], 'e', ARGV[from + 3], 'n', ARGV[from + 4], 'r', ARGV[from + 5], 'f', ARGV[from + 1],
    's', ARGV[from + 6], 'b', ARGV[from + 7],
  }, admitted = admits[ARGV[from + 2]] and admits[ARGV[from + 3]] and (tonumber(ARGV[from + 4]) < 2 or admits['batch'])}
end

-- What was taken before was taken, whatever is admitted by now.
local sets, expiry = turns('seen', tonumber(ARGV[2]))
local seen = remembered(sets, ids)
for place, frame in ipairs(frames) do
  if not seen[frame.id] then
    if frame.admitted then
      seen[frame.id] = true
      fresh[#fresh + 1] = frame
      names[#names + 1] = frame.id
    else
      refused[#refused + 1] = place - 1
    end
  end
end

local bound, held = tonumber(ARGV[1]), frames_held()
if #fresh > 0 and bound >= 0 and held + #fresh > bound then
  return {'full', held}
end

local counts = tally(key('counts'))
if #fresh > 0 then
  remember(sets, expiry, names)
end
for _, frame in ipairs(fresh) do
  redis.call('XADD', key('q:' .. frame.priority), '*', unpack(frame.fields))
  count_frame(counts, frame.priority, frame.fields, 1)
end
counts.add('refused', #refused)
counts.write()

if #refused == 0 then
  return 1
end
return {'refused', refused, redis.call('SMEMBERS', key('admits'))}
