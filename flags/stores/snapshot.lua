-- Reads every flag of an environment at one revision.
--
-- KEYS  1 sb:{env}:meta
-- ARGV  1 prefix of the keys
-- Answers {epoch, rev, [flag key, JSON, …], [flag key, revision of its last write, …]}. A server that may be read and
-- not written, a full one or a replica, answers with the epoch it holds.

local epoch, rev = fence(ARGV[1], false)
return {epoch, rev, redis.call('HGETALL', ARGV[1] .. 'flags'), redis.call('HGETALL', ARGV[1] .. 'ver')}
