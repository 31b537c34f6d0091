#!lua flags=allow-oom
-- Leases up to `most` collections that are due to the process that asks, and returns their ids.
-- What comes for their jobs from now on is gathered anew.
local owner, lease_ms, most = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local claimed = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', P .. 'collections', '-inf', NOW, 'LIMIT', 0, most)) do
  stop_gathering(id)
  redis.call('HSET', collection_key(id), 'owner', owner)
  redis.call('HINCRBY', collection_key(id), 'attempts', 1)
  redis.call('ZADD', P .. 'collections', NOW + lease_ms, id)
  claimed[#claimed + 1] = id
end
return claimed
