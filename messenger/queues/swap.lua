-- Puts the copy of a stream in its place, with the group as it stands. Comes after frames.lua.
-- ARGV: priority, operation, how long to remember it (s), entry reached, how many frames may be left to copy.
-- Answers 'swapped', 'on' where there is more to rewrite than this may copy, or 'lost' where the copy is not what it should
-- be: then it is gone, and has to be built again.

local priority, operation, reached, most = ARGV[1], key('op:' .. ARGV[2]), ARGV[4], tonumber(ARGV[5])
local stream, copy, building = key('q:' .. priority), key('next:' .. priority), key('building:' .. priority)

local group = group_of(stream)
if not group then
  return redis.error_reply('NOGROUP')
end
redis.call('PERSIST', building)  -- needs no memory, and opens the way for what does; see keys.lua
if redis.call('HGET', building, 'reached') ~= reached then
  return 'lost'
end

-- The tail was appended since; the append let none of it in that is not admitted, and nothing else is copied unseen.
local tail = redis.call('XRANGE', stream, '(' .. reached, '+', 'COUNT', most + 1)
if #tail > most then
  return 'on'
end
for _, entry in ipairs(tail) do
  if not admitted(entry[2]) then
    return 'on'
  end
end
local built = tally(building)
for _, entry in ipairs(tail) do
  redis.call('XADD', copy, entry[1], unpack(entry[2]))
  count_frame(built, priority, entry[2], 1)
end
built.write()

if redis.call('XLEN', copy) ~= redis.call('XLEN', stream) then
  redis.call('UNLINK', copy, building)  -- somebody deleted entries past the library
  return 'lost'
end

redis.call('XGROUP', 'CREATE', copy, GROUP, group['last-delivered-id'], 'MKSTREAM')
-- The next entry must come after every one that ever was: the group looks for nothing before its last delivered.
redis.call('XSETID', copy, named(redis.call('XINFO', 'STREAM', stream))['last-generated-id'])
for _, consumer in ipairs(redis.call('XINFO', 'CONSUMERS', stream, GROUP)) do
  redis.call('XGROUP', 'CREATECONSUMER', copy, GROUP, named(consumer).name)
end

-- What was handed out together has the same owner, idle time and deliveries, and goes over together.
local function hand_over(ids, one)
  local call = {'XCLAIM', copy, GROUP, one[2], 0, unpack(ids)}
  for _, word in ipairs({'IDLE', one[3], 'RETRYCOUNT', one[4], 'FORCE', 'JUSTID'}) do
    call[#call + 1] = word
  end
  redis.call(unpack(call))
end

local from = '-'
repeat
  local pending = redis.call('XPENDING', stream, GROUP, from, '+', 1000)
  local ids = {}
  for place, held in ipairs(pending) do
    ids[#ids + 1] = held[1]
    local following = pending[place + 1]
    if not (following and following[2] == held[2] and following[3] == held[3] and following[4] == held[4]) then
      hand_over(ids, held)
      ids = {}
    end
    from = '(' .. held[1]
  end
until #pending < 1000

-- The old stream goes aside first, so that freeing it does not hold up the server.
redis.call('RENAME', stream, copy .. ':old')
redis.call('RENAME', copy, stream)
redis.call('UNLINK', copy .. ':old')

for _, name in ipairs(redis.call('HKEYS', key('counts'))) do
  if string.find(name, '^frames:' .. priority .. ':') or name == 'messages:' .. priority then
    redis.call('HDEL', key('counts'), name)
  end
end
local holds = redis.call('HGETALL', building)
for place = 1, #holds, 2 do
  if holds[place] ~= 'reached' then
    redis.call('HSET', key('counts'), holds[place], holds[place + 1])
  end
end
redis.call('DEL', building)
redis.call('HINCRBY', operation, 'swapped', 1)
redis.call('EXPIRE', operation, ARGV[3])
return 'swapped'
