#!lua flags=allow-oom
-- A process's sign of progress, timed by Redis's clock. Stamps older than `keep_ms` are swept.
local owner, stamp, keep_ms = ARGV[1], cjson.decode(ARGV[2]), tonumber(ARGV[3])
stamp.at = NOW / 1000
redis.call('HSET', P .. 'workers', owner, cjson.encode(stamp))
redis.call('ZADD', P .. 'workers:seen', NOW, owner)
for _, gone in ipairs(redis.call('ZRANGEBYSCORE', P .. 'workers:seen', '-inf', NOW - keep_ms)) do
  redis.call('HDEL', P .. 'workers', gone)
  redis.call('ZREM', P .. 'workers:seen', gone)
end
return 1
