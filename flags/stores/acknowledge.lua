-- Renews an instance's lease, records what it has applied, and wakes who waits for all if it was the last one.
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
  local acked = prefix .. 'acked:' .. ARGV[3]
  local before = redis.call('ZSCORE', acked, id)
  if before ~= ARGV[4] then
    redis.call('ZADD', acked, ARGV[4], id)
    -- What all have acknowledged is the lowest; it has risen if it is now above what this one had.
    local lowest = redis.call('ZRANGE', acked, 0, 0, 'WITHSCORES')[2]
    if tonumber(lowest) > tonumber(before or -1) and missing(prefix, ARGV[3], lowest) == 0 then
      wake(prefix, id)
    end
  end
end
return redis.status_reply('OK')
