-- Placed before the scripts of the instance registry, after fence.lua. What they keep, each key starting with the prefix:
--
--   lease          zset  instance id -> time at which it counts as gone (ms since 1970 by this server's clock)
--   inst           hash  instance id -> JSON of what it says of itself
--   acked:<epoch>  zset  instance id -> rev; only of the current epoch, and only of members of `lease`
--   reached        stream of one entry, what waiters sleep on: who acknowledged, or left, when all others had more

local function milliseconds()
  return math.floor(microseconds() / 1000)
end

local function forget(prefix, epoch, id)
  redis.call('ZREM', prefix .. 'lease', id)
  redis.call('HDEL', prefix .. 'inst', id)
  redis.call('ZREM', prefix .. 'acked:' .. epoch, id)
end

local function evict(prefix, epoch, now)
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', prefix .. 'lease', '-inf', integer(now))) do
    forget(prefix, epoch, id)
  end
end

-- How many instances have not acknowledged this revision.
local function missing(prefix, epoch, rev)
  return redis.call('ZCARD', prefix .. 'lease') - redis.call('ZCOUNT', prefix .. 'acked:' .. epoch, rev, '+inf')
end

-- Wakes every waiter; each looks for itself and sleeps again if it has to.
local function wake(prefix, id)
  redis.call('XADD', prefix .. 'reached', 'MAXLEN', 1, '*', 'by', id)
end

-- Who is live: {now in ms, epoch, [id, time it counts as gone, …], [id, JSON, …], [id, acknowledged rev, …]}
local function roster(prefix, epoch, now)
  return {
    integer(now),
    epoch,
    redis.call('ZRANGEBYSCORE', prefix .. 'lease', '(' .. integer(now), '+inf', 'WITHSCORES'),
    redis.call('HGETALL', prefix .. 'inst'),
    redis.call('ZRANGE', prefix .. 'acked:' .. epoch, 0, -1, 'WITHSCORES'),
  }
end
