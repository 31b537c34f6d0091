#!lua
-- A new secret for a tenant's endpoint; the one before signs beside it for `overlap_ms`. Returns until
-- when, or nil where there is no such endpoint.
local id, tenant, secret, overlap_ms = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local known = redis.call('HMGET', endpoint_key(id), 'tenant', 'secret')
if known[1] ~= tenant then return nil end
redis.call('HSET', endpoint_key(id), 'secret', secret, 'old_secret', known[2], 'old_secret_until', NOW + overlap_ms)
return NOW + overlap_ms
