-- Takes frames off a queue that need any of some words, waiting or pending. Comes after frames.lua.
-- ARGV: priority, quarantine or purge, operation, how long to remember it (s), entry after which to begin ('' at first),
-- how many frames to look at, what to write on the letters, then the words.
-- Answers with the entry reached, '' at the end. The first write is an XACK, which a full server takes; see keys.lua.

local priority, verb, operation, after = ARGV[1], ARGV[2], key('op:' .. ARGV[3]), ARGV[5]
local stream = key('q:' .. priority)
local words = {}
for place = 8, #ARGV do
  words[ARGV[place]] = true
end

if not group_of(stream) then
  return redis.error_reply('NOGROUP')
end

local counts, done = tally(key('counts')), tally(operation)
local entries = redis.call('XRANGE', stream, after == '' and '-' or '(' .. after, '+', 'COUNT', ARGV[6])
for _, entry in ipairs(entries) do
  if needs_any(entry[2], words) then
    if verb == 'quarantine' then
      quarantine(counts, priority, entry, ARGV[7])
      done.add('quarantined', 1)
    else
      redis.call('XACK', stream, GROUP, entry[1])
      take_off(counts, priority, entry[1])
      done.add('purged', 1)
    end
  end
end
counts.write()
done.write()
redis.call('EXPIRE', operation, ARGV[4])
return #entries > 0 and entries[#entries][1] or ''
