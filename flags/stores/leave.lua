-- Takes an instance out; who waits for all is woken, since it may have been the last one.
--
-- KEYS  1 sb:{env}:meta
-- ARGV  1 prefix of the keys  2 instance id

local epoch = redis.call('HGET', KEYS[1], 'epoch') or '0'
forget(ARGV[1], epoch, ARGV[2])
wake(ARGV[1], ARGV[2])
return redis.status_reply('OK')
