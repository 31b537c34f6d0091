local id, tenant, fields, images, units = ARGV[1], ARGV[2], cjson.decode(ARGV[3]), cjson.decode(ARGV[4]), cjson.decode(ARGV[5])
local idempotency_key, fingerprint, idempotency_ttl = ARGV[6], ARGV[7], ARGV[8]
local max_jobs, max_tenant_jobs = tonumber(ARGV[9]), tenant_limit(ARGV[2], 'queued_jobs', ARGV[10])
local used, per_day = cjson.decode(ARGV[11]), cjson.decode(ARGV[12])

-- The same request, sent again after its connection broke.
if redis.call('EXISTS', job_key(id)) == 1 then return {'created', id} end

local remembered = P .. 'idempotency:' .. tenant .. ':' .. idempotency_key
if idempotency_key ~= '' then
  local earlier = redis.call('HMGET', remembered, 'job', 'fingerprint')
  if earlier[1] then
    return {earlier[2] == fingerprint and 'replayed' or 'mismatch', earlier[1]}
  end
end
if redis.call('ZCARD', P .. 'active') >= max_jobs then return {'full', ''} end
if redis.call('ZCARD', P .. 'active:' .. tenant) >= max_tenant_jobs then
  return {'tenant_full', tostring(max_tenant_jobs)}
end
local over = charge(tenant, used, per_day)
if over then return {'over_quota', '', unpack(over)} end

local record = {'id', id, 'tenant', tenant, 'status', 'queued', 'stage', 'waiting', 'created_at', NOW}
for name, value in pairs(fields) do
  record[#record + 1] = name
  record[#record + 1] = value
end
redis.call('HSET', job_key(id), unpack(record))
for index, image in ipairs(images) do redis.call('HSET', job_key(id, 'images'), index - 1, image) end
for _, set in ipairs({'queued', 'active', 'active:' .. tenant, 'jobs:' .. tenant}) do
  redis.call('ZADD', P .. set, NOW, id)
end
count('jobs_accepted', 1)
count('images_accepted', #images)
for _, unit in ipairs(units) do make_due(id, unit, {attempt = 0, failures = 0}) end
if idempotency_key ~= '' then
  redis.call('HSET', remembered, 'job', id, 'fingerprint', fingerprint)
  redis.call('PEXPIRE', remembered, idempotency_ttl)
end
return {'created', id}
