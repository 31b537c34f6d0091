#!lua
-- A message for trying an endpoint out; its delivery, or nil where there is no such endpoint.
local id, tenant, event, about = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local known = redis.call('HMGET', endpoint_key(id), 'tenant', 'url', 'host', 'disabled_at')
if known[1] ~= tenant then return nil end
if known[4] then return 'disabled' end
return deliver(tenant, '', id, event, about, known[2], known[3], '')
