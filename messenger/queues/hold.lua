-- Starts the idle time of frames again that a consumer still has in hand. Comes after keys.lua.
-- ARGV: consumer, then for each frame: priority, entry.

for place = 2, #ARGV, 2 do
  local stream, id = key('q:' .. ARGV[place]), ARGV[place + 1]
  if redis.call('XPENDING', stream, GROUP, id, id, 1, ARGV[1])[1] then
    redis.call('XCLAIM', stream, GROUP, ARGV[1], 0, id, 'JUSTID')
  end
end
return 1
