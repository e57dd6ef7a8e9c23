-- Commits what became of frames: marks, results, letters and acknowledgements, all of it or none. Comes after frames.lua.
-- ARGV: window for message ids (ms), results to keep, then for each frame: priority, entry, 1 if it is finished,
-- number of messages handled, for each: id, result or nothing; number of letters, for each: id, reason, detail,
-- deliveries, then type, encoding, messages, revision, frame id, sender, body.

local FIELDS = {'t', 'e', 'n', 'r', 'f', 's', 'b'}

local place = 2
local function take()
  place = place + 1
  return ARGV[place]
end

local function read_letter(priority)
  local letter = {id = take(), priority = priority, reason = take(), detail = take(), deliveries = take(), fields = {}}
  for _, name in ipairs(FIELDS) do
    letter.fields[#letter.fields + 1] = name
    letter.fields[#letter.fields + 1] = take()
  end
  return letter
end

local function read_frame(names)
  local frame = {priority = take(), id = take(), finished = take() == '1', handled = {}, letters = {}}
  for index = 1, tonumber(take()) do
    frame.handled[index] = {id = take(), result = take()}
    names[#names + 1] = frame.handled[index].id
  end
  for index = 1, tonumber(take()) do
    frame.letters[index] = read_letter(frame.priority)
    names[#names + 1] = frame.letters[index].id
  end
  return frame
end

local frames, names, marks = {}, {}, {}
while place < #ARGV do
  frames[#frames + 1] = read_frame(names)
end

local counts = tally(key('counts'))
local sets, expiry = turns('done', tonumber(ARGV[1]))
local known = remembered(sets, names)
redis.call('PEXPIREAT', sets[1], expiry)  -- a full server takes this and then the rest, see keys.lua

local function mark(name)
  if known[name] then
    counts.add('duplicates', 1)
    return false
  end
  known[name] = true
  marks[#marks + 1] = name
  return true
end

-- Whether the frame was still to be decided about; who has it in hand does not matter, the first to commit wins.
local function still_open(frame)
  local stream = key('q:' .. frame.priority)
  if not frame.finished then  -- a frame that was quarantined under its consumer is still its consumer's to decide
    return #redis.call('XRANGE', stream, frame.id, frame.id) > 0
      or redis.call('HEXISTS', key('moved'), frame.priority .. ':' .. frame.id) == 1
  end
  redis.call('XACK', stream, GROUP, frame.id)
  return take_off(counts, frame.priority, frame.id) or take_back(frame.priority, frame.id)
end

for _, frame in ipairs(frames) do
  local open = still_open(frame)
  for _, message in ipairs(frame.handled) do
    if mark(message.id) then
      counts.add('handled', 1)
      if message.result ~= '' then
        redis.call('XADD', key('results'), 'MAXLEN', '~', ARGV[2], '*', 'm', message.id, 'v', message.result)
      end
    end
  end
  for _, letter in ipairs(frame.letters) do
    if open and letter.reason == 'quarantine' then
      bury('quarantine', letter, letter.fields)
    elseif open and mark(letter.id) then
      bury('dead', letter, letter.fields)
    end
  end
end
if #marks > 0 then
  remember(sets, expiry, marks)
end
counts.write()
return 1
