#!lua
-- Begins a failed or canceled job anew. Returns 'retried', why it may not be queued and the limit
-- it met, or the status that does not allow it.
local id, tenant, units = ARGV[1], ARGV[2], cjson.decode(ARGV[3])
local max_jobs, max_tenant_jobs = tonumber(ARGV[4]), ARGV[5]
if not belongs_to(id, tenant) then return nil end
local status = field(id, 'status')
if status ~= 'failed' and status ~= 'canceled' then return {status, ''} end
local refused = refusal(tenant, max_jobs, max_tenant_jobs)
if refused then return refused end

local attempts = number_field(id, 'attempts')
redis.call('HDEL', job_key(id), 'started_at', 'captioned_at', 'finished_at', 'expires_at',
  'error_code', 'error_detail', 'captions_done', 'composed')
redis.call('HSET', job_key(id), 'status', 'queued', 'stage', 'waiting', 'queued_at', NOW,
  'attempts_before', attempts)
redis.call('ZREM', P .. 'expiry', id)
enqueue(id, tenant, units, attempts)
return {'retried', ''}
