#!lua
-- Notes that files without a record were seen; returns those names that were first seen `age_ms` ago
-- or earlier. A younger one may belong to a submission that is still being accepted. What has become
-- known, or was removed, is forgotten after `keep_ms`.
local age_ms, keep_ms = tonumber(ARGV[1]), tonumber(ARGV[2])
local orphans, old = P .. 'orphans', {}
for n = 3, #ARGV do
  redis.call('ZADD', orphans, 'NX', NOW, ARGV[n])
  if tonumber(redis.call('ZSCORE', orphans, ARGV[n])) <= NOW - age_ms then old[#old + 1] = ARGV[n] end
end
redis.call('ZREMRANGEBYSCORE', orphans, '-inf', NOW - keep_ms)
return old
