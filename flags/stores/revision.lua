-- Reads the revision of an environment, after the fence.
--
-- KEYS  1 sb:{env}:meta
-- ARGV  1 prefix of the keys
-- Answers {epoch, rev}. A server that may be read and not written answers with the epoch it holds.

local epoch, rev = fence(ARGV[1], false)
return {epoch, rev}
