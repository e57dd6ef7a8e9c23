-- Hands out new frames to a consumer, without waiting. Comes after keys.lua.
-- ARGV: consumer, limit, then the priorities in the order in which they are looked at.
-- Answers {priority, entries} for each that had any.

local left = tonumber(ARGV[2])
local answer = {}
for place = 3, #ARGV do
  if left > 0 then
    local stream = key('q:' .. ARGV[place])
    local read = redis.call('XREADGROUP', 'GROUP', GROUP, ARGV[1], 'COUNT', left, 'STREAMS', stream, '>')
    if read then
      answer[#answer + 1] = {ARGV[place], read[1][2]}
      left = left - #read[1][2]
    end
  end
end
return answer
