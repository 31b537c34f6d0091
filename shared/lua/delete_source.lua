#!lua flags=allow-oom
-- Forgets a source with everything that waits for it; grids that were made stay.
local id, tenant = ARGV[1], ARGV[2]
if redis.call('HGET', source_key(id), 'tenant') ~= tenant then return 0 end
for _, collection in ipairs(redis.call('ZRANGE', source_key(id, 'open'), 0, -1)) do
  drop_collection(collection)
end
redis.call('ZREM', P .. 'sources:' .. tenant, id)
redis.call('DEL', source_key(id), source_key(id, 'log'), source_key(id, 'seen'),
  source_key(id, 'open'), source_key(id, 'gathering'))
return 1
