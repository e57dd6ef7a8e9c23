-- What stands where, from lengths and counters alone. Comes after keys.lua.
-- Answers {time (ms), {priority, frames, of them pending, first entry or '', last entry or ''} for each priority, counters,
-- admits, barred here, barred everywhere, {member, end of lease, words} for each, dead letters, quarantined}.

local function edge(command, stream, from, to)
  local entry = redis.call(command, stream, from, to, 'COUNT', 1)[1]
  return entry and entry[1] or ''
end

if redis.call('EXISTS', key('opened')) == 0 then
  return 'unopened'
end

local streams = {}
for place, priority in ipairs(PRIORITIES) do
  local stream = key('q:' .. priority)
  streams[place] = {
    priority,
    redis.call('XLEN', stream),
    (pending_in(stream) or {0})[1],
    edge('XRANGE', stream, '-', '+'),
    edge('XREVRANGE', stream, '+', '-'),
  }
end

local members = {}
local time = now()
local leases = redis.call('ZRANGEBYSCORE', key('members'), '(' .. string.format('%.0f', time), '+inf', 'WITHSCORES')
for place = 1, #leases, 2 do
  members[#members + 1] = {leases[place], leases[place + 1], redis.call('HGET', key('words'), leases[place]) or ''}
end

return {
  time, streams, redis.call('HGETALL', key('counts')), redis.call('SMEMBERS', key('admits')),
  redis.call('SMEMBERS', key('barred')), redis.call('SMEMBERS', key('barred:all')), members,
  redis.call('XLEN', key('dead')), redis.call('XLEN', key('quarantine')),
}
