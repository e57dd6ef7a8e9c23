-- Placed before the scripts that must know an environment's revision.
--
-- A server that started again may hold an older copy of the data, in which revisions would repeat. Its run id is then
-- not the one in `meta`, and the environment gets a new epoch before anything else happens. The epoch is a time, since
-- a counter would be restored together with the copy. It is compared for equality only.

-- Lua's own conversion to text drops digits of numbers as large as a time in microseconds.
local function integer(number)
  return string.format('%.0f', number)
end

-- The server's clock in microseconds.
local function microseconds()
  local time = redis.call('TIME')
  return time[1] * 1000000 + time[2]
end

-- Answers epoch, rev, and the error where the server refused to be written. `born` makes the first epoch of an
-- environment that was never written.
local function fence(prefix, born)
  local meta = prefix .. 'meta'
  local held = redis.call('HMGET', meta, 'epoch', 'rev', 'run_id')
  local epoch, rev = held[1] or '0', held[2] or '0'
  local run_id = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
  if held[3] == run_id or not (held[1] or born) then
    return epoch, rev
  end
  local fresh = integer(math.max(tonumber(epoch) + 1, microseconds()))
  local done = redis.pcall('HSET', meta, 'epoch', fresh, 'run_id', run_id)
  if type(done) == 'table' and done.err then
    return epoch, rev, done
  end
  redis.call('DEL', prefix .. 'acked:' .. epoch)
  return fresh, rev
end
