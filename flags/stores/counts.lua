-- Adds one report of evaluations to the counts of the day, unless it was added before.
--
-- KEYS  1 sb:{env}:flags, hash: the flags that there are
-- ARGV  1 prefix of the keys  2 instance id  3 number of the report, which grows  4 most fields in a day
--       5 most keys of a day that are no flags  6 seconds that a day is kept  7 … key, variant, count of each entry
--
-- sb:{env}:counts:<day>       hash: "key variant" -> evaluations; the day is a number since 1970
-- sb:{env}:undefined:<day>    hash: key -> times that it was asked for while there was no such flag
-- sb:{env}:evaluated          hash: "key variant" -> when it was last reported, s
-- sb:{env}:counting           string: when the first report came, s
-- sb:{env}:reported:<id>      string: number of the instance's last report, for an hour

local prefix = ARGV[1]
local reported = prefix .. 'reported:' .. ARGV[2]
if tonumber(redis.call('GET', reported) or '0') >= tonumber(ARGV[3]) then
  return 0
end
-- The first write is where a server that is full or read-only refuses, and nothing has been added then.
redis.call('SET', reported, ARGV[3], 'EX', 3600)

local now = redis.call('TIME')[1]
local day = string.format('%d', math.floor(now / 86400))
local counts, undefined, evaluated = prefix .. 'counts:' .. day, prefix .. 'undefined:' .. day, prefix .. 'evaluated'
redis.call('SET', prefix .. 'counting', now, 'NX')

local function fits(key, field, room)
  return redis.call('HLEN', key) < tonumber(room) or redis.call('HEXISTS', key, field) == 1
end

for i = 7, #ARGV, 3 do
  local key, field, count = ARGV[i], ARGV[i] .. ' ' .. ARGV[i + 1], ARGV[i + 2]
  if redis.call('HEXISTS', KEYS[1], key) == 1 then
    if fits(counts, field, ARGV[4]) and fits(evaluated, field, ARGV[4]) then
      redis.call('HINCRBY', counts, field, count)
      redis.call('HSET', evaluated, field, now)
    end
  elseif fits(undefined, key, ARGV[5]) then
    redis.call('HINCRBY', undefined, key, count)
  end
end
redis.call('EXPIRE', counts, ARGV[6])
redis.call('EXPIRE', undefined, ARGV[6])
return 1
