-- Takes an instance out; whoever waited for it alone is woken.
--
-- KEYS  1 sb:{env}:meta
-- ARGV  1 prefix of the keys  2 instance id

local epoch = redis.call('HGET', KEYS[1], 'epoch') or '0'
forget(ARGV[1], epoch, ARGV[2])
wake(ARGV[1])
return redis.status_reply('OK')
