#!lua
-- A new endpoint of a tenant; 'full' where there are `most` already.
local id, tenant, most, fields = ARGV[1], ARGV[2], tonumber(ARGV[3]), cjson.decode(ARGV[4])
if redis.call('ZCARD', P .. 'endpoints:' .. tenant) >= most then return 'full' end
redis.call('HSET', endpoint_key(id), 'id', id, 'tenant', tenant, 'created_at', NOW)
for name, value in pairs(fields) do redis.call('HSET', endpoint_key(id), name, value) end
redis.call('ZADD', P .. 'endpoints:' .. tenant, NOW, id)
return 'saved'
