-- Looks whether a revision has been acknowledged by every live instance, and if not, puts a waiter down to be woken.
--
-- KEYS  1 sb:{env}:meta
-- ARGV  1 prefix of the keys  2 waiter  3 epoch  4 rev  5 how long it will wait, ms; 0 or less takes it off
-- Answers {how many are missing, ms until the next lease can run out}; the second is -1 where nobody is live.

local prefix = ARGV[1]
local now = milliseconds()
evict(prefix, redis.call('HGET', KEYS[1], 'epoch') or '0', now)
redis.call('ZREMRANGEBYSCORE', prefix .. 'waiters', '-inf', integer(now))

local left = missing(prefix, ARGV[3], ARGV[4])
local waiting = ARGV[2] .. ' ' .. ARGV[3] .. ' ' .. ARGV[4]
if left == 0 or tonumber(ARGV[5]) <= 0 then
  redis.call('ZREM', prefix .. 'waiters', waiting)
  redis.call('DEL', prefix .. 'wake:' .. ARGV[2])
else
  redis.call('ZADD', prefix .. 'waiters', integer(now + ARGV[5]), waiting)
end
local first = redis.call('ZRANGE', prefix .. 'lease', 0, 0, 'WITHSCORES')
return {left, first[2] and first[2] - now or -1}
