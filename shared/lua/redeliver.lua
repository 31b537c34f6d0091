#!lua
-- Begins a delivery anew, under the id that it had. Returns why it cannot, or nil.
local id, tenant = ARGV[1], ARGV[2]
local known = redis.call('HMGET', delivery_key(id), 'tenant', 'lane', 'endpoint', 'job')
if known[1] ~= tenant then return 'unknown' end
local lane, endpoint = known[2], known[3]
if endpoint ~= '' then
  local stored = redis.call('HMGET', endpoint_key(endpoint), 'id', 'disabled_at')
  if not stored[1] then return 'deleted' end
  if stored[2] then return 'disabled' end
elseif redis.call('EXISTS', job_key(known[4])) == 1 then
  redis.call('HDEL', job_key(known[4]), 'webhook_gone')
end
redis.call('PERSIST', delivery_key(id))
redis.call('PERSIST', delivery_key(id, 'attempts'))
redis.call('HSET', delivery_key(id), 'failures', 0)
redis.call('HDEL', delivery_key(id), 'ended_at', 'reason')
-- One that is under way now counts as the first attempt.
if not redis.call('ZSCORE', P .. 'delivery_leases', id) then schedule(id, lane, NOW) end
return nil
