-- Reads who is live.
--
-- KEYS  1 sb:{env}:meta
-- ARGV  1 prefix of the keys
-- Answers {now in ms, epoch, [id, time it counts as gone, …], [id, JSON, …], [id, acknowledged rev, …]}

local prefix = ARGV[1]
local now = milliseconds()
local epoch = redis.call('HGET', KEYS[1], 'epoch') or '0'
-- A server that may be read and not written can't forget those who are gone; they are left out all the same.
pcall(evict, prefix, epoch, now)
return {
  integer(now),
  epoch,
  redis.call('ZRANGEBYSCORE', prefix .. 'lease', '(' .. integer(now), '+inf', 'WITHSCORES'),
  redis.call('HGETALL', prefix .. 'inst'),
  redis.call('ZRANGE', prefix .. 'acked:' .. epoch, 0, -1, 'WITHSCORES'),
}
