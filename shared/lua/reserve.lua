#!lua
-- Keeps an idempotency key for one request while it is being accepted; 0 if another one has it.
local id, tenant, key, ttl_ms = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local remembered = P .. 'idempotency:' .. tenant .. ':' .. key
local known = redis.call('HMGET', remembered, 'job', 'reserved_by')
-- With a job there is nothing to keep: create.lua compares the payloads.
if known[1] then return 1 end
if known[2] and known[2] ~= id then return 0 end
redis.call('HSET', remembered, 'reserved_by', id)
redis.call('PEXPIRE', remembered, ttl_ms)
return 1
