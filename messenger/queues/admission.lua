-- Every change of what a queue admits: its opening, members that come and go, bars and releases. Comes after keys.lua.
-- ARGV: what it admits whatever happens, verb, then by verb (lists of words are one argument, separated by spaces):
--   open     generation, what the environment bars by then, what to release here, what is decodable without any member yet
--   join     consumer, its words, its lease (ms)
--   leave    consumer
--   bar      words
--   release  words
-- Answers 1, or 'unopened' to every verb but open.

local verb = ARGV[2]

local function set_of(text)
  local set = {}
  for word in string.gmatch(text, '%S+') do
    set[word] = true
  end
  return set
end

local function replace(name, set)
  redis.call('DEL', key(name))
  for word in pairs(set) do
    redis.call('SADD', key(name), word)
  end
end

local function evict(time)
  local gone = redis.call('ZRANGEBYSCORE', key('members'), '-inf', time)
  redis.call('ZREMRANGEBYSCORE', key('members'), '-inf', time)
  for _, consumer in ipairs(gone) do
    redis.call('HDEL', key('words'), consumer)
  end
  for _, consumer in ipairs(gone) do
    forget(consumer)
  end
  return #gone
end

local function recompute()
  local members = redis.call('HVALS', key('words'))
  if #members > 0 then
    local shared = set_of(members[1])
    for _, words in ipairs(members) do
      local mine = set_of(words)
      for word in pairs(shared) do
        shared[word] = mine[word]
      end
    end
    for word in pairs(set_of(ARGV[1])) do
      shared[word] = true
    end
    replace('known', shared)
  end
  local admits = {}
  for _, word in ipairs(redis.call('SDIFF', key('known'), key('barred'), key('barred:all'))) do
    admits[word] = true
  end
  for word in pairs(set_of(ARGV[1])) do
    admits[word] = true
  end
  replace('admits', admits)
end

local function open(generation, barred, released, decodable)
  local opened = redis.call('GET', key('opened'))
  for word in pairs(set_of(released)) do
    redis.call('SREM', key('barred'), word)
  end
  if not opened or tonumber(opened) < tonumber(generation) then
    replace('barred:all', set_of(barred))
    redis.call('SET', key('opened'), generation)
  end
  if redis.call('EXISTS', key('known')) == 0 then
    replace('known', set_of(decodable))
  end
  for _, priority in ipairs(PRIORITIES) do
    local made = redis.pcall('XGROUP', 'CREATE', key('q:' .. priority), GROUP, '0', 'MKSTREAM')
    if made.err and not string.find(made.err, 'BUSYGROUP') then
      error(made.err)
    end
  end
end

if verb ~= 'open' and redis.call('EXISTS', key('opened')) == 0 then
  return 'unopened'
end

local time = now()
local evicted = evict(time)

if verb == 'open' then
  open(ARGV[3], ARGV[4], ARGV[5], ARGV[6])
elseif verb == 'join' then
  local known = redis.call('HGET', key('words'), ARGV[3])
  redis.call('ZADD', key('members'), string.format('%.0f', time + tonumber(ARGV[5])), ARGV[3])
  redis.call('HSET', key('words'), ARGV[3], ARGV[4])
  if known == ARGV[4] and evicted == 0 then
    return 1
  end
elseif verb == 'leave' then
  redis.call('ZREM', key('members'), ARGV[3])
  redis.call('HDEL', key('words'), ARGV[3])
  forget(ARGV[3])
else
  for word in pairs(set_of(ARGV[3])) do
    redis.call(verb == 'bar' and 'SADD' or 'SREM', key('barred'), word)
  end
end
recompute()
return 1
