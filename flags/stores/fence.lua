-- Placed before the scripts that must know an environment's revision.
--
-- A server that started again, was promoted, or took over another's data while it ran, may hold an older copy, in which
-- revisions would repeat. It is then not the server that `meta` names, and the environment gets a new epoch before
-- anything else happens. The epoch is a time, since a counter would be restored together with the copy. It is compared
-- for equality only.

-- Lua's own conversion to text drops digits of numbers as large as a time in microseconds.
local function integer(number)
  return string.format('%.0f', number)
end

-- The server's clock in microseconds.
local function microseconds()
  local time = redis.call('TIME')
  return time[1] * 1000000 + time[2]
end

-- Asked for once in each run: the server takes longer over it than over most commands.
local replication_info
local function replication()
  replication_info = replication_info or redis.call('INFO', 'replication')
  return replication_info
end

-- Names the server and its line of data. The run id is new with each start. A server that was a replica of another, if
-- only to take over a backup, has a second replication id, and its first one is new since it was promoted; without one
-- the first says nothing, since it is also new when a first replica comes.
local function identity()
  local run_id = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
  if string.find(replication(), 'master_replid2:0*[1-9a-f]') then
    return run_id .. '/' .. string.match(replication(), 'master_replid:(%x+)')
  end
  return run_id
end

-- Answers epoch, rev, and the error where the server refused to be written. `born` makes the first epoch of an
-- environment that was never written.
local function fence(prefix, born)
  local meta = prefix .. 'meta'
  local held = redis.call('HMGET', meta, 'epoch', 'rev', 'run_id')
  local epoch, rev = held[1] or '0', held[2] or '0'
  local server = identity()
  if held[3] == server or not (held[1] or born) then
    return epoch, rev
  end
  local fresh = integer(math.max(tonumber(epoch) + 1, microseconds()))
  local done = redis.pcall('HSET', meta, 'epoch', fresh, 'run_id', server)
  if type(done) == 'table' and done.err then
    return epoch, rev, done
  end
  redis.call('DEL', prefix .. 'acked:' .. epoch)
  return fresh, rev
end
