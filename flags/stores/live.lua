-- Reads who is live.
--
-- KEYS  1 sb:{env}:meta
-- ARGV  1 prefix of the keys
-- Answers with what `roster` does.

local prefix = ARGV[1]
local now = milliseconds()
local epoch = redis.call('HGET', KEYS[1], 'epoch') or '0'
-- A server that may be read and not written can't forget those who are gone; they are left out all the same.
pcall(evict, prefix, epoch, now)
return roster(prefix, epoch, now)
