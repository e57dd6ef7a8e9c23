-- What the scripts share that take frames off a queue or give them up. Comes after keys.lua.

local function named(reply)
  local fields = {}
  for place = 1, #reply, 2 do
    fields[reply[place]] = reply[place + 1]
  end
  return fields
end

-- The stream's group as XINFO tells it; nil where there is none, which whoever calls must see to before a script writes:
-- one that fails halfway is not undone.
local function group_of(stream)
  if redis.call('EXISTS', key('opened')) == 1 and redis.call('EXISTS', stream) == 1 then
    for _, group in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
      if named(group).name == GROUP then
        return named(group)
      end
    end
  end
  return nil
end

-- Takes an entry off its stream, and off the copy that a transcoding builds beside it. Counters follow the entry as it
-- stands, not as it was handed out: it may have been rewritten since.
local function take_off(counts, priority, id)
  local stream = key('q:' .. priority)
  local entry = redis.call('XRANGE', stream, id, id)[1]
  if not entry then
    return false
  end
  redis.call('XDEL', stream, id)
  count_frame(counts, priority, entry[2], -1)
  local building = key('building:' .. priority)
  if redis.call('EXISTS', building) == 1 then
    local copy = redis.call('XRANGE', key('next:' .. priority), id, id)[1]
    if copy then
      local built = tally(building)
      count_frame(built, priority, copy[2], -1)
      built.write()
      redis.call('XDEL', key('next:' .. priority), id)
    end
  end
  return true
end

-- Buries a letter; the same letter a second time is one letter. `fields` are the frame's.
local function bury(kind, letter, fields)
  local entry = {'i', letter.id, 'p', letter.priority, 'w', letter.reason, 'd', letter.detail, 'c', letter.deliveries}
  for _, value in ipairs(fields) do
    entry[#entry + 1] = value
  end
  if redis.call('HEXISTS', key(kind .. ':ids'), letter.id) == 0 then
    redis.call('HSET', key(kind .. ':ids'), letter.id, redis.call('XADD', key(kind), '*', unpack(entry)))
  end
end

-- Moves an entry to the quarantine, wherever it stands; a consumer that has it in hand can still settle it.
local function quarantine(counts, priority, entry, detail)
  local id, fields = entry[1], entry[2]
  local stream = key('q:' .. priority)
  local pending = redis.call('XPENDING', stream, GROUP, id, id, 1)[1]
  local name = field(fields, 'f')
  if name == '' or redis.call('HEXISTS', key('quarantine:ids'), name) == 1 then
    name = priority .. ':' .. id
  end
  redis.call('XACK', stream, GROUP, id)
  take_off(counts, priority, id)
  bury('quarantine', {
    id = name, priority = priority, reason = 'quarantine', detail = detail, deliveries = pending and pending[4] or 0,
  }, fields)
  if pending then
    redis.call('HSET', key('moved'), priority .. ':' .. id, name)
    redis.call('EXPIRE', key('moved'), 7 * 24 * 3600)
  end
end

-- Takes back a letter about a frame that was quarantined while a consumer had it in hand; true where there was one.
local function take_back(priority, id)
  local place = priority .. ':' .. id
  local name = redis.call('HGET', key('moved'), place)
  if not name then
    return false
  end
  redis.call('HDEL', key('moved'), place)
  local letter = redis.call('HGET', key('quarantine:ids'), name)
  if not letter then
    return false
  end
  redis.call('HDEL', key('quarantine:ids'), name)
  return redis.call('XDEL', key('quarantine'), letter) == 1
end
