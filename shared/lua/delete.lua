#!lua flags=allow-oom
-- From here on nobody sees the job. Its record goes once its files are gone, and these once no
-- worker has the job any more (finish, forget.lua).
local id, tenant = ARGV[1], ARGV[2]
if not belongs_to(id, tenant) then return 0 end
redis.call('HSET', job_key(id), 'deleted', 1)
redis.call('ZREM', P .. 'jobs:' .. tenant, id)
local remembered = P .. 'idempotency:' .. tenant .. ':' .. (field(id, 'idempotency_key') or '')
if redis.call('HGET', remembered, 'job') == id then redis.call('DEL', remembered) end
if is_terminal(field(id, 'status')) then
  redis.call('ZADD', P .. 'expiry', NOW, id)
else
  stop(id)
end
drop_deliveries(id)
redis.call('DEL', job_key(id, 'events'))
redis.call('PUBLISH', P .. 'changes', id)
return 1
