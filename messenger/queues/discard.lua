-- Drops letters for good. Comes after keys.lua.
-- ARGV: dead or quarantine, then letter ids. Answers with the number dropped.

local dropped = 0
for place = 2, #ARGV do
  local entry = redis.call('HGET', key(ARGV[1] .. ':ids'), ARGV[place])
  if entry then
    redis.call('HDEL', key(ARGV[1] .. ':ids'), ARGV[place])
    dropped = dropped + redis.call('XDEL', key(ARGV[1]), entry)
  end
end
return dropped
