-- Placed before the scripts of the instance registry, after fence.lua. What they keep, each key starting with the prefix:
--
--   lease          zset  instance id -> time at which it counts as gone (ms since 1970 by this server's clock)
--   inst           hash  instance id -> JSON of what it says of itself
--   acked:<epoch>  zset  instance id -> rev; only of the current epoch, and only of members of `lease`
--   waiters        zset  `<waiter> <epoch> <rev>` -> time at which the waiter gives up
--   wake:<waiter>  list  what the waiter sleeps on

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

-- Wakes every waiter for whom nobody is missing any more; it looks for itself and waits again if it has to.
local function wake(prefix)
  for _, waiting in ipairs(redis.call('ZRANGE', prefix .. 'waiters', 0, -1)) do
    local waiter, epoch, rev = string.match(waiting, '^(%S+) (%d+) (%d+)$')
    if missing(prefix, epoch, rev) == 0 then
      redis.call('ZREM', prefix .. 'waiters', waiting)
      redis.call('RPUSH', prefix .. 'wake:' .. waiter, '')
      redis.call('PEXPIRE', prefix .. 'wake:' .. waiter, 10000)
    end
  end
end
