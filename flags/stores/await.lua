-- Looks whether a revision has been acknowledged by every live instance, and if not, tells what to sleep on.
--
-- KEYS  1 sb:{env}:meta
-- ARGV  1 prefix of the keys  2 epoch  3 rev
-- Answers {how many are missing, ms until the next lease can run out, last id of `reached`}; where nobody is missing
-- {0, what `roster` answers}. It writes only to forget who is gone: a write has its turn at the disk, and the
-- acknowledgements that are waited for would stand in line behind it.

local prefix = ARGV[1]
local now = milliseconds()
local epoch = redis.call('HGET', KEYS[1], 'epoch') or '0'
evict(prefix, epoch, now)

local left = missing(prefix, ARGV[2], ARGV[3])
if left == 0 then
  return {0, roster(prefix, epoch, now)}
end
local first = redis.call('ZRANGE', prefix .. 'lease', 0, 0, 'WITHSCORES')
local last = redis.call('XREVRANGE', prefix .. 'reached', '+', '-', 'COUNT', 1)
return {left, first[2] - now, last[1] and last[1][1] or '0-0'}
