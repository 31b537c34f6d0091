-- The files of an expired job are gone: what stays for `keep_ms` is the fact that it once was.
local id, keep_ms = ARGV[1], ARGV[2]
local tenant = field(id, 'tenant')
redis.call('DEL', job_key(id, 'images'), job_key(id, 'units'), job_key(id, 'pending'), job_key(id, 'captions'))
redis.call('ZREM', P .. 'expired', id)
if not tenant then return 0 end
redis.call('ZREM', P .. 'jobs:' .. tenant, id)
redis.call('DEL', job_key(id))
redis.call('HSET', job_key(id), 'id', id, 'tenant', tenant, 'status', 'expired')
redis.call('PEXPIRE', job_key(id), keep_ms)
return 1
