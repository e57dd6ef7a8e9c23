-- What the queues of an environment share: which there are, and what a kill has barred in all of them.
-- KEYS: queues (set of domains), barred (set of words), generation of the bars (string).
-- ARGV: verb, then: enroll a domain · bar words · release the generation that was seen, or '', and words · look nothing.
-- Answers {generation, words barred, domains}, or nothing where a release has seen another generation. Every bar makes a
-- generation, so that no release goes by what was seen before it. A queue takes over the bars of a generation newer than the one it has, so a
-- late word about an old one changes nothing. Generations are times, in microseconds: where these keys are lost and the
-- queues are not, a count would begin again below what the queues have, and the next kill would pass them by.

local verb = ARGV[1]

if verb ~= 'look' then
  redis.call('SREM', KEYS[2], '')  -- a full server takes this and then the rest, see keys.lua
end

if verb == 'enroll' then
  redis.call('SADD', KEYS[1], ARGV[2])
elseif verb == 'bar' or verb == 'release' then
  if verb == 'release' and ARGV[2] ~= '' and ARGV[2] ~= (redis.call('GET', KEYS[3]) or '0') then
    return false
  end
  local changed = verb == 'bar' and 1 or 0
  for place = verb == 'bar' and 2 or 3, #ARGV do
    changed = changed + redis.call(verb == 'bar' and 'SADD' or 'SREM', KEYS[2], ARGV[place])
  end
  if changed > 0 then
    local time = redis.call('TIME')
    local next = math.max(time[1] * 1000000 + time[2], tonumber(redis.call('GET', KEYS[3]) or 0) + 1)
    redis.call('SET', KEYS[3], string.format('%.0f', next))
  end
end

return {redis.call('GET', KEYS[3]) or '0', redis.call('SMEMBERS', KEYS[2]), redis.call('SMEMBERS', KEYS[1])}
