-- Adds what one instance counted to the buckets of the present second, by the server's clock.
-- KEYS: stem of the buckets, sb:{environment}:tm.
--   :1:<second>          hash    what was counted apart, a line break, what of it -> how much
--   :instances:<second>  hash    the same by instance
--   :<step>:<start>      hash    longer buckets, see condensing.py; :mark:<step> where the next one begins
--   :claim               string  somebody is about to condense
-- ARGV: how long these buckets are kept (s), step of the next longer ones (s), how many arguments are the instance's, then
-- names and numbers: the instance's, then the others.
-- Answers 1 where a longer bucket can be made and the caller should see to it, else 0.

local time = tonumber(redis.call('TIME')[1])

local function add(kind, from, to)
  local bucket = string.format('%s:%s:%.0f', KEYS[1], kind, time)
  for place = from, to, 2 do
    redis.call('HINCRBY', bucket, ARGV[place], ARGV[place + 1])
  end
  redis.call('EXPIRE', bucket, ARGV[1])
end

local others = 4 + tonumber(ARGV[3])
add('instances', 4, others - 1)
add('1', others, #ARGV)

local step = tonumber(ARGV[2])
local mark = tonumber(redis.call('GET', KEYS[1] .. ':mark:' .. ARGV[2]) or 0)
if time - time % step > mark and redis.call('SET', KEYS[1] .. ':claim', time, 'NX', 'EX', 5) then
  return 1
end
return 0
