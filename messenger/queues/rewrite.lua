-- Adds the next frames of a stream to the copy that is built beside it, some of them rewritten. Comes after frames.lua.
-- ARGV: priority, operation, how long to remember it (s), entry reached before ('' to begin), entry to reach, then for
-- each frame that is not copied as it stands: entry, and 'frame' with type, encoding, messages, revision, frame id, sender,
-- body, or 'poison' with what is wrong.
-- Answers 'on', or {'moved', entry reached or ''} where somebody else has got further.
--
-- What was settled since the caller read it is not there any more, and so is not copied.

local FIELDS = {'t', 'e', 'n', 'r', 'f', 's', 'b'}
local priority, operation, before, reached = ARGV[1], key('op:' .. ARGV[2]), ARGV[4], ARGV[5]
local stream, copy, building = key('q:' .. priority), key('next:' .. priority), key('building:' .. priority)

if not group_of(stream) then
  return redis.error_reply('NOGROUP')
end

-- Takes what the server has, even past its bound: a kill must be able to clear a queue that has filled it. It is one
-- stream's worth at most, and given back at the swap. The first write needs no memory, see keys.lua.
redis.call('PERSIST', building)

local at = redis.call('HGET', building, 'reached') or ''
if at ~= before then
  return {'moved', at}
end
if at == '' then
  redis.call('UNLINK', copy)
end

local changes = {}
local place = 6
while place <= #ARGV do
  local change = {verdict = ARGV[place + 1], fields = {}}
  changes[ARGV[place]] = change
  place = place + 2
  if change.verdict == 'poison' then
    change.detail = ARGV[place]
    place = place + 1
  else
    for _, name in ipairs(FIELDS) do
      change.fields[#change.fields + 1] = name
      change.fields[#change.fields + 1] = ARGV[place]
      place = place + 1
    end
  end
end

local counts, built, done = tally(key('counts')), tally(building), tally(operation)
for _, entry in ipairs(redis.call('XRANGE', stream, at == '' and '-' or '(' .. at, reached)) do
  local change = changes[entry[1]]
  if change and change.verdict == 'poison' then
    quarantine(counts, priority, entry, change.detail)
    done.add('quarantined', 1)
  else
    local fields = change and change.fields or entry[2]
    redis.call('XADD', copy, entry[1], unpack(fields))
    count_frame(built, priority, fields, 1)
    done.add('rewritten', change and 1 or 0)
  end
end
redis.call('HSET', building, 'reached', reached)
counts.write()
built.write()
done.write()
redis.call('EXPIRE', operation, ARGV[3])
return 'on'
