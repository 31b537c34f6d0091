#!lua
local id, tenant, fields, images, units = ARGV[1], ARGV[2], cjson.decode(ARGV[3]), cjson.decode(ARGV[4]), cjson.decode(ARGV[5])
local idempotency_key, fingerprint, idempotency_ttl = ARGV[6], ARGV[7], ARGV[8]
local max_jobs, max_tenant_jobs = tonumber(ARGV[9]), ARGV[10]
local used, per_day = cjson.decode(ARGV[11]), cjson.decode(ARGV[12])

-- The same request, sent again after its connection broke.
if redis.call('EXISTS', job_key(id)) == 1 then return {'created', id} end

local remembered = P .. 'idempotency:' .. tenant .. ':' .. idempotency_key
if idempotency_key ~= '' then
  local earlier = redis.call('HMGET', remembered, 'job', 'fingerprint', 'reserved_by')
  if earlier[1] then
    return {earlier[2] == fingerprint and 'replayed' or 'mismatch', earlier[1]}
  end
  if earlier[3] and earlier[3] ~= id then return {'reserved', ''} end
end
local refused = refusal(tenant, max_jobs, max_tenant_jobs)
if refused then return refused end
local over = charge(tenant, used, per_day)
if over then return {'over_quota', '', unpack(over)} end

local record = {'id', id, 'tenant', tenant, 'status', 'queued', 'stage', 'waiting', 'created_at', NOW,
  'queued_at', NOW, 'idempotency_key', idempotency_key}
for name, value in pairs(fields) do
  record[#record + 1] = name
  record[#record + 1] = value
end
redis.call('HSET', job_key(id), unpack(record))
for index, image in ipairs(images) do redis.call('HSET', job_key(id, 'images'), index - 1, image) end
redis.call('ZADD', P .. 'jobs:' .. tenant, NOW, id)
enqueue(id, tenant, units, 0)
count('jobs_accepted', 1)
count('images_accepted', #images)
if idempotency_key ~= '' then
  redis.call('HDEL', remembered, 'reserved_by')
  redis.call('HSET', remembered, 'job', id, 'fingerprint', fingerprint)
  redis.call('PEXPIRE', remembered, idempotency_ttl)
end
return {'created', id}
