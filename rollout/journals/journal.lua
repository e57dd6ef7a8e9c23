-- Every write of a rollback's journal: checks who leads, then writes, in one step.
--
-- KEYS[1]  sb:{env}:rollback        hash of the rollback that has not ended: id, attempt, until (ms, server clock), record
-- KEYS[2]  sb:{env}:rollback:<id>   stream of its events, field `e` (JSON)
-- KEYS[3]  sb:{env}:receipts        hash: receipt id -> receipt, as it is kept
--
-- ARGV[1]  verb: take, commit, renew, let_go, finish
-- ARGV[2]  receipt id         ARGV[3]  attempt, counted from 1        ARGV[4]  lease in ms
-- ARGV[5]  record, or for finish the receipt                          ARGV[6]  event
--
-- Answers 1, or 0 where the lead is somebody else's.

local verb, id, attempt = ARGV[1], ARGV[2], tonumber(ARGV[3])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local held = redis.call('HMGET', KEYS[1], 'id', 'attempt', 'until')

if verb == 'take' then
  local free
  if held[1] then
    free = held[1] == id and tonumber(held[2]) == attempt - 1 and tonumber(held[3]) <= now
  else
    free = attempt == 1
  end
  if not free then return 0 end
elseif held[1] ~= id or tonumber(held[2]) ~= attempt then
  return 0
end

-- A script is not undone where a later command of it is refused for want of memory: the event is told first, and a record
-- that lags behind its events only makes the next attempt do some step once more.
if verb == 'commit' or verb == 'finish' then
  redis.call('XADD', KEYS[2], '*', 'e', ARGV[6])
end
if verb == 'finish' then
  redis.call('HSET', KEYS[3], id, ARGV[5])
  redis.call('DEL', KEYS[1])
  return 1
end
if verb == 'take' or verb == 'commit' then
  redis.call('HSET', KEYS[1], 'id', id, 'attempt', attempt, 'record', ARGV[5])
end
redis.call('HSET', KEYS[1], 'until', verb == 'let_go' and now or now + tonumber(ARGV[4]))
return 1
