#!lua flags=allow-oom
-- The files of an expired job are gone: what stays for `keep_ms` is the fact that it once was; of a
-- deleted one nothing stays.
local id, keep_ms = ARGV[1], ARGV[2]
local tenant, deleted = field(id, 'tenant'), field(id, 'deleted')
redis.call('DEL', job_key(id), job_key(id, 'images'), job_key(id, 'units'), job_key(id, 'pending'),
  job_key(id, 'captions'), job_key(id, 'events'), job_key(id, 'deliveries'))
redis.call('ZREM', P .. 'expired', id)
if not tenant then return 0 end
redis.call('ZREM', P .. 'jobs:' .. tenant, id)
if deleted then return 1 end
redis.call('HSET', job_key(id), 'id', id, 'tenant', tenant, 'status', 'expired')
redis.call('PEXPIRE', job_key(id), keep_ms)
return 1
