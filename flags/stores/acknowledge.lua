-- Renews an instance's lease, records what it has applied, and wakes a waiter if it was the last one.
--
-- KEYS  1 sb:{env}:meta
-- ARGV  1 prefix of the keys  2 instance id  3 epoch applied  4 rev applied  5 lease with its margin, ms
--       6 JSON of the instance

local prefix, id = ARGV[1], ARGV[2]
local now = milliseconds()
redis.call('ZADD', prefix .. 'lease', integer(now + ARGV[5]), id)
-- What has not changed is not written: a renewal a second of each instance also goes to the append-only file.
if redis.call('HGET', prefix .. 'inst', id) ~= ARGV[6] then
  redis.call('HSET', prefix .. 'inst', id, ARGV[6])
end
if (redis.call('HGET', KEYS[1], 'epoch') or '0') == ARGV[3] then
  if redis.call('ZADD', prefix .. 'acked:' .. ARGV[3], 'CH', ARGV[4], id) == 1 then
    wake(prefix)
  end
end
return redis.status_reply('OK')
