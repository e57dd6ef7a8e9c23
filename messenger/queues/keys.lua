-- The keys of one domain's queue. KEYS[1] is their stem, sb:{environment/domain}: its hash tag keeps them in one slot,
-- so that the scripts can name the others themselves.
--
--   :q:<priority>         stream  frames: t type, e encoding, n messages, r revision, f frame id, s sender, b body
--   :opened               string  generation of the environment's bars that :barred:all is a copy of
--   :admits               set     words that the append takes
--   :known                set     words that all members can decode; without members, the last known
--   :barred, :barred:all  set     words that a kill took out: of this queue, of every queue
--   :members              zset    consumer -> when its lease ends, ms
--   :words                hash    consumer -> words it can decode
--   :seen:<turn>          set     frame ids that were appended; see turns()
--   :done:<turn>          set     message ids that were dealt with
--   :dead, :quarantine    stream  letters: i id, p priority, w reason, d detail, c deliveries, then as a frame
--   :<either>:ids         hash    letter id -> entry
--   :moved                hash    place of a frame quarantined under its consumer -> letter id
--   :results              stream  m message id, v result
--   :counts               hash    running counters
--   :next:<priority>      stream  the copy that a transcoding builds
--   :building:<priority>  hash    how far that copy has got, and counters of what it holds
--   :op:<id>              hash    what an operation has done so far
--
-- A full server refuses a script's first write if that could need memory, and takes every later one. So the scripts that
-- must work then - a kill, a consumer's commit - begin with a write that never needs any.

local GROUP = 'workers'
local PRIORITIES = {'high', 'normal', 'low'}

local function key(name)
  return KEYS[1] .. ':' .. name
end

local function now()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- Three sets that take turns remember a name for at least `window` ms and at most half as long again. Answers with their
-- keys, newest first, and with the time at which the newest may go.
local function turns(name, window)
  local half = math.max(1, math.floor(window / 2))
  local turn = math.floor(now() / half)
  local keys = {}
  for back = 0, 2 do
    keys[back + 1] = key(string.format('%s:%.0f', name, turn - back))
  end
  return keys, string.format('%.0f', (turn + 3) * half)
end

-- Which of `names` any of the sets holds, as a table of those names. Asks in slices, for Lua's stack is small.
local function remembered(keys, names)
  local found = {}
  for from = 1, #names, 1000 do
    local to = math.min(from + 999, #names)
    for _, set in ipairs(keys) do
      local answers = redis.call('SMISMEMBER', set, unpack(names, from, to))
      for place = from, to do
        if answers[place - from + 1] == 1 then
          found[names[place]] = true
        end
      end
    end
  end
  return found
end

local function remember(keys, expiry, names)
  for from = 1, #names, 1000 do
    redis.call('SADD', keys[1], unpack(names, from, math.min(from + 999, #names)))
  end
  redis.call('PEXPIREAT', keys[1], expiry)
end

local function field(fields, name)
  for place = 1, #fields, 2 do
    if fields[place] == name then
      return fields[place + 1]
    end
  end
  return ''
end

local function messages_of(fields)
  return tonumber(field(fields, 'n')) or 1
end

-- Adds up what is written to a hash of counters at the end.
local function tally(counters)
  local sums = {}
  return {
    add = function(name, by)
      sums[name] = (sums[name] or 0) + by
    end,
    write = function()
      for name, sum in pairs(sums) do
        if sum ~= 0 then
          redis.call('HINCRBY', counters, name, sum)
        end
      end
    end,
  }
end

local function count_frame(counts, priority, fields, by)
  counts.add('frames:' .. priority .. ':' .. field(fields, 't'), by)
  counts.add('messages:' .. priority, by * messages_of(fields))
end

-- The words that a queue must admit to take a frame, as Frame.words has them.
local function words_of(fields)
  local words = {field(fields, 't'), field(fields, 'e')}
  if messages_of(fields) > 1 then
    words[3] = 'batch'
  end
  return words
end

local function admitted(fields)
  for _, word in ipairs(words_of(fields)) do
    if redis.call('SISMEMBER', key('admits'), word) == 0 then
      return false
    end
  end
  return true
end

local function needs_any(fields, words)
  for _, word in ipairs(words_of(fields)) do
    if words[word] then
      return true
    end
  end
  return false
end

local function frames_held()
  local held = 0
  for _, priority in ipairs(PRIORITIES) do
    held = held + redis.call('XLEN', key('q:' .. priority))
  end
  return held
end

-- What XPENDING answers; nil where there is no group, because somebody deleted the stream past the library.
local function pending_in(stream, ...)
  local answer = redis.pcall('XPENDING', stream, GROUP, ...)
  if not answer.err then
    return answer
  end
  if not string.find(answer.err, 'NOGROUP') then
    error(answer.err)
  end
  return nil
end

-- Takes a consumer's name out of the group where nothing is pending under it: a group loses what is pending with the name.
local function forget(consumer)
  for _, priority in ipairs(PRIORITIES) do
    local stream = key('q:' .. priority)
    local pending = pending_in(stream, '-', '+', 1, consumer)
    if pending and #pending == 0 then
      redis.call('XGROUP', 'DELCONSUMER', stream, GROUP, consumer)
    end
  end
end
