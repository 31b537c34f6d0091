#!lua
-- Saves one of a tenant's templates: 'created' or 'replaced'; refused with 'exists' where `replace`
-- is not '1', and with 'full' where it would be more than `most`.
local tenant, name, template, replace, most = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
local templates = P .. 'templates:' .. tenant
local exists = redis.call('HEXISTS', templates, name) == 1
if exists and replace ~= '1' then return 'exists' end
if not exists and redis.call('HLEN', templates) >= most then return 'full' end
redis.call('HSET', templates, name, template)
return exists and 'replaced' or 'created'
