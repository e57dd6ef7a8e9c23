-- Takes over frames that were handed out and not settled for a while. Comes after keys.lua.
-- ARGV: consumer, idle time (ms), limit.
-- Answers {priority, entry, deliveries with this one} for each.

local consumer, idle, left = ARGV[1], ARGV[2], tonumber(ARGV[3])
local answer, owners = {}, {}

for _, priority in ipairs(PRIORITIES) do
  local stream = key('q:' .. priority)
  local pending = left > 0 and redis.call('XPENDING', stream, GROUP, 'IDLE', idle, '-', '+', left) or {}
  for _, held in ipairs(pending) do
    local entry = redis.call('XCLAIM', stream, GROUP, consumer, idle, held[1])[1]
    if entry then
      answer[#answer + 1] = {priority, entry, held[4] + 1}
      left = left - 1
    else
      redis.call('XACK', stream, GROUP, held[1])  -- somebody deleted the entry past the library
    end
    owners[held[2]] = held[2] ~= consumer
  end
end

-- Nothing else takes away the name of a consumer that died with frames in hand.
for owner, other in pairs(owners) do
  if other and not redis.call('ZSCORE', key('members'), owner) then
    forget(owner)
  end
end
return answer
