#!lua
-- Sets fields of a tenant's endpoint; 0 where it has none of this id. `disabled` is '1', '0' or ''.
local id, tenant, fields, disabled = ARGV[1], ARGV[2], cjson.decode(ARGV[3]), ARGV[4]
if redis.call('HGET', endpoint_key(id), 'tenant') ~= tenant then return 0 end
for name, value in pairs(fields) do redis.call('HSET', endpoint_key(id), name, value) end
if fields.url then redis.call('HDEL', endpoint_key(id), 'failing_since') end
if disabled == '1' and not redis.call('HGET', endpoint_key(id), 'disabled_at') then
  disable(id, 'its owner has disabled it')
elseif disabled == '0' then
  redis.call('HDEL', endpoint_key(id), 'disabled_at', 'disabled_reason', 'failing_since')
end
return 1
