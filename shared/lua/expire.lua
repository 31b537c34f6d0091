#!lua flags=allow-oom
-- Marks jobs whose time is over and returns every marked one whose files may still be there.
local limit = tonumber(ARGV[1])
for _, id in ipairs(redis.call('ZRANGEBYSCORE', P .. 'expiry', '-inf', NOW, 'LIMIT', 0, limit)) do
  redis.call('HSET', job_key(id), 'status', 'expired')
  announce(id, 'job.expired')
  redis.call('ZREM', P .. 'expiry', id)
  redis.call('ZADD', P .. 'expired', NOW, id)
end
return redis.call('ZRANGE', P .. 'expired', 0, limit - 1)
