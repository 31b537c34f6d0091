#!lua
-- Keeps a source: 'created', or 'replaced' where it is there and the tenant's own. Refused with
-- 'full' where it would be one too many, with 'unknown' where it is to be replaced and is not there.
-- `secret` is '=' to leave the one there is.
local id, tenant, record, secret = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local replaces, most = ARGV[5] == '1', tonumber(ARGV[6])
local key, all = source_key(id), P .. 'sources:' .. tenant
if replaces then
  if redis.call('HGET', key, 'tenant') ~= tenant then return 'unknown' end
else
  if redis.call('ZCARD', all) >= most then return 'full' end
  redis.call('ZADD', all, NOW, id)
  redis.call('HSET', key, 'tenant', tenant, 'created_at', NOW)
end
redis.call('HSET', key, 'record', record)
if secret ~= '=' then redis.call('HSET', key, 'secret', secret) end
return replaces and 'replaced' or 'created'
