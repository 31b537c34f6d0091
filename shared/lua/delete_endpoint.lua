#!lua flags=allow-oom
-- Removes a tenant's endpoint and stops what waits for it; what was sent stays in the logs.
local id, tenant, keep_ms = ARGV[1], ARGV[2], ARGV[3]
if redis.call('HGET', endpoint_key(id), 'tenant') ~= tenant then return 0 end
for _, delivery in ipairs(redis.call('ZRANGE', endpoint_key(id, 'deliveries'), 0, -1)) do
  local known = redis.call('HMGET', delivery_key(delivery), 'state', 'lane')
  if known[1] == 'pending' then
    redis.call('HSET', delivery_key(delivery), 'reason', 'its endpoint was deleted')
    end_delivery(delivery, known[2], 'stopped', keep_ms)
  end
end
redis.call('DEL', endpoint_key(id), endpoint_key(id, 'deliveries'))
redis.call('ZREM', P .. 'endpoints:' .. tenant, id)
return 1
