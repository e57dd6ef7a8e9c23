-- Every write of items, of one or of many, all or none. An item is a flag, or a segment: `segment:<key>`.
--
-- KEYS  1 sb:{env}:meta    hash    epoch, rev, run_id of the server that gave out the epoch
--       2 sb:{env}:flags   hash    item key -> canonical JSON
--       3 sb:{env}:ver     hash    item key -> revision of its last write
--       4 sb:{env}:log     stream  one entry a revision, whose id is the revision: item key -> JSON; or `*` -> count
--       5 sb:{env}:audit   stream  one entry a revision: op, at, actor, reason, keys
--       6 sb:{env}:op:<id> string  digest of the write, and the revision it made
--       and sb:{env}:hist:<item>, a stream for each item: at, actor, reason, before, after
-- ARGV  1 prefix of the keys  2 operation  3 digest  4 actor  5 reason  6 seconds to remember the operation
--       7 entries to keep in the log  8 most items in an entry of the log
--       then for each item: key, revision expected of its last write ('' = it must not exist), JSON ('' = it stays);
--       the key `the environment` stands for the revision of all of it
--
-- Answers {'written' | 'repeated', revision, connected replicas}, {'conflict', key, current revision} or {'mismatch'}.
-- An error in a script does not undo what it did before: so all that may fail comes first, and the log entry before
-- the rest, because a subscriber that sees an entry too many reads everything again, and one too few never does.

local prefix = ARGV[1]
local FIRST, WIDTH = 9, 3

local function replicas()
  return tonumber(string.match(replication(), 'connected_slaves:(%d+)'))
end

local stored = redis.call('GET', KEYS[6])
if stored then
  local digest, revision = string.match(stored, '^(%S+) (%S+)$')
  if digest ~= ARGV[3] then
    return {'mismatch'}
  end
  return {'repeated', revision, replicas()}
end

local epoch, rev, refused = fence(prefix, true)
if refused then
  return refused
end
for at = FIRST, #ARGV, WIDTH do
  local current = epoch .. '-' .. rev
  if ARGV[at] ~= 'the environment' then
    current = redis.call('HGET', KEYS[3], ARGV[at]) or ''
  end
  if current ~= ARGV[at + 1] then
    return {'conflict', ARGV[at], current}
  end
end

rev = integer(tonumber(rev) + 1)
local revision = epoch .. '-' .. rev
local now = integer(microseconds())

local fields, keys = {}, {}
for at = FIRST, #ARGV, WIDTH do
  if ARGV[at + 2] ~= '' then
    keys[#keys + 1] = ARGV[at]
    fields[#fields + 1] = ARGV[at]
    fields[#fields + 1] = ARGV[at + 2]
  end
end
-- A call takes only so many arguments; subscribers answer a `*` by reading everything.
if #keys > tonumber(ARGV[8]) then
  fields = {'*', #keys}
end
redis.call('XADD', KEYS[4], 'MAXLEN', '~', ARGV[7], revision, unpack(fields))
redis.call('HSET', KEYS[1], 'rev', rev)
for at = FIRST, #ARGV, WIDTH do
  local key, json = ARGV[at], ARGV[at + 2]
  if json ~= '' then
    local before = redis.call('HGET', KEYS[2], key) or ''
    redis.call('HSET', KEYS[2], key, json)
    redis.call('HSET', KEYS[3], key, revision)
    redis.call('XADD', prefix .. 'hist:' .. key, revision,
      'at', now, 'actor', ARGV[4], 'reason', ARGV[5], 'before', before, 'after', json)
  end
end
redis.call('XADD', KEYS[5], revision,
  'op', ARGV[2], 'at', now, 'actor', ARGV[4], 'reason', ARGV[5], 'keys', cjson.encode(keys))
redis.call('SET', KEYS[6], ARGV[3] .. ' ' .. revision, 'EX', ARGV[6])
return {'written', revision, replicas()}
