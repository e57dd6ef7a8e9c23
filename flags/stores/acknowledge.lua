-- Renews an instance's lease, records what it has applied, and wakes a waiter if it was the last one.
--
-- KEYS  1 sb:{env}:meta
-- ARGV  1 prefix of the keys  2 instance id  3 epoch applied  4 rev applied  5 lease with its margin, ms
--       6 JSON of the instance  7 '1' to fence first
-- Answers {epoch, rev} of the environment: what the instance compares its cursor with.

local prefix, id = ARGV[1], ARGV[2]
local epoch, rev
if ARGV[7] == '1' then
  epoch, rev = fence(prefix, false)
else
  local held = redis.call('HMGET', KEYS[1], 'epoch', 'rev')
  epoch, rev = held[1] or '0', held[2] or '0'
end

local now = milliseconds()
redis.call('ZADD', prefix .. 'lease', integer(now + ARGV[5]), id)
redis.call('HSET', prefix .. 'inst', id, ARGV[6])
if epoch == ARGV[3] and redis.call('ZADD', prefix .. 'acked:' .. epoch, 'CH', ARGV[4], id) == 1 then
  wake(prefix, now)
end
return {epoch, rev}
