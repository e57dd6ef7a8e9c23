-- Shows the oldest frames of each priority. Comes after keys.lua.
-- ARGV: how many of each. Answers {priority, entry, deliveries so far} for each; deliveries are 0 before the first.

local answer = {}
if redis.call('EXISTS', key('opened')) == 0 then
  return answer
end
for _, priority in ipairs(PRIORITIES) do
  local stream = key('q:' .. priority)
  for _, entry in ipairs(redis.call('XRANGE', stream, '-', '+', 'COUNT', ARGV[1])) do
    local pending = redis.call('XPENDING', stream, GROUP, entry[1], entry[1], 1)[1]
    answer[#answer + 1] = {priority, entry, pending and pending[4] or 0}
  end
end
return answer
