-- Webhooks: what all scripts share of them, behind common.lua.
--
-- endpoint:ID       hash, the record       endpoints:TENANT     zset of them by creation
-- endpoint:ID:deliveries, job:ID:deliveries                     zsets of deliveries by creation
-- delivery:ID       hash, the record       delivery:ID:attempts list of JSON, the oldest first
-- A lane is a tenant and a host of its receivers: a slow one holds up its own lane and no other.
-- due:LANE          zset, deliveries by their next attempt      sending:LANE   set, those under way
-- lanes             zset, lanes with something due, by when     troubled_lanes set: no answer lately
-- deliveries        zset, all that wait, by their next attempt
-- delivery_leases   zset, those under way -> when their lease ends

local ENDPOINT_LOG = 1000
local SPEC_KEPT = 8192
local ATTEMPTS_KEPT = 30
-- How a job is when something happens to it; its images and its result are looked up later.
local SNAPSHOT = {'id', 'tenant', 'status', 'stage', 'created_at', 'queued_at', 'started_at',
  'captioned_at', 'finished_at', 'expires_at', 'image_count', 'captions_total', 'captions_done',
  'composed', 'attempts', 'attempts_before', 'error_code', 'error_detail'}

local function delivery_key(id, part)
  return P .. 'delivery:' .. id .. (part and (':' .. part) or '')
end

local function endpoint_key(id, part)
  return P .. 'endpoint:' .. id .. (part and (':' .. part) or '')
end

local function snapshot(id)
  local kept = {}
  for n, value in ipairs(redis.call('HMGET', job_key(id), unpack(SNAPSHOT))) do
    if value then kept[SNAPSHOT[n]] = value end
  end
  if redis.call('HSTRLEN', job_key(id), 'spec') <= SPEC_KEPT then kept.spec = field(id, 'spec') end
  return cjson.encode(kept)
end

local function wake_deliverer()
  if redis.call('LLEN', P .. 'wake:deliverer') == 0 then redis.call('LPUSH', P .. 'wake:deliverer', 1) end
end

-- Puts a lane where a deliverer finds it when its first delivery is due.
local function offer(lane)
  local first = redis.call('ZRANGE', P .. 'due:' .. lane, 0, 0, 'WITHSCORES')
  if not first[1] then
    redis.call('ZREM', P .. 'lanes', lane)
    return
  end
  redis.call('ZADD', P .. 'lanes', first[2], lane)
  if tonumber(first[2]) <= NOW then wake_deliverer() end
end

local function schedule(id, lane, at)
  redis.call('HSET', delivery_key(id), 'state', 'pending', 'next_attempt_at', at)
  redis.call('ZADD', P .. 'deliveries', at, id)
  redis.call('ZADD', P .. 'due:' .. lane, at, id)
  offer(lane)
end

-- Takes a delivery out of every queue; whoever sends it meanwhile finds its lease gone.
local function unschedule(id, lane)
  redis.call('ZREM', P .. 'deliveries', id)
  redis.call('ZREM', P .. 'due:' .. lane, id)
  redis.call('ZREM', P .. 'delivery_leases', id)
  redis.call('SREM', P .. 'sending:' .. lane, id)
  offer(lane)
end

local function end_delivery(id, lane, state, keep_ms)
  unschedule(id, lane)
  redis.call('HSET', delivery_key(id), 'state', state, 'ended_at', NOW)
  redis.call('HDEL', delivery_key(id), 'next_attempt_at')
  redis.call('PEXPIRE', delivery_key(id), keep_ms)
  redis.call('PEXPIRE', delivery_key(id, 'attempts'), keep_ms)
  count('deliveries|' .. state, 1)
end

-- A delivery to an endpoint, or with an empty one to the URL that a job names itself.
local function deliver(tenant, job, endpoint, event, about, url, host, secret)
  local id = 'msg_' .. string.sub(redis.sha1hex(table.concat(
    {job, endpoint, event, redis.call('INCR', P .. 'last_delivery')}, ':')), 1, 32)
  local lane = tenant .. '|' .. host
  redis.call('HSET', delivery_key(id), 'id', id, 'tenant', tenant, 'job', job, 'endpoint', endpoint,
    'type', event, 'about', about, 'url', url, 'lane', lane, 'secret', secret, 'created_at', NOW,
    'attempts', 0, 'failures', 0)
  if job ~= '' then redis.call('ZADD', job_key(job, 'deliveries'), NOW, id) end
  if endpoint ~= '' then
    redis.call('ZADD', endpoint_key(endpoint, 'deliveries'), NOW, id)
    redis.call('ZREMRANGEBYRANK', endpoint_key(endpoint, 'deliveries'), 0, -ENDPOINT_LOG - 1)
  end
  schedule(id, lane, NOW)
  return id
end

local function wants(events, event)
  return events and string.find(' ' .. events .. ' ', ' ' .. event .. ' ', 1, true)
end

announce = function(id, event)
  local job = redis.call('HMGET', job_key(id), 'tenant', 'deleted', 'webhook_url', 'webhook_host',
    'webhook_secret', 'webhook_events', 'webhook_gone', 'progress_at')
  local tenant = job[1]
  if job[2] then return end
  if event == 'job.progress' then
    if NOW - tonumber(job[8] or 0) < 1000 then return end
    redis.call('HSET', job_key(id), 'progress_at', NOW)
  end
  local about
  if wants(job[6], event) and not job[7] then
    about = snapshot(id)
    deliver(tenant, id, '', event, about, job[3], job[4], job[5] or '')
  end
  for _, endpoint in ipairs(redis.call('ZRANGE', P .. 'endpoints:' .. tenant, 0, -1)) do
    local known = redis.call('HMGET', endpoint_key(endpoint), 'url', 'host', 'events', 'disabled_at')
    if wants(known[3], event) and not known[4] then
      about = about or snapshot(id)
      deliver(tenant, id, endpoint, event, about, known[1], known[2], '')
    end
  end
end

-- With a job goes all that was to be told of it.
local function drop_deliveries(id)
  local deliveries = job_key(id, 'deliveries')
  for _, delivery in ipairs(redis.call('ZRANGE', deliveries, 0, -1)) do
    local known = redis.call('HMGET', delivery_key(delivery), 'lane', 'endpoint')
    if known[1] then unschedule(delivery, known[1]) end
    if known[2] and known[2] ~= '' then
      redis.call('ZREM', endpoint_key(known[2], 'deliveries'), delivery)
    end
    redis.call('DEL', delivery_key(delivery), delivery_key(delivery, 'attempts'))
  end
  redis.call('DEL', deliveries)
end

local function disable(endpoint, reason)
  redis.call('HSET', endpoint_key(endpoint), 'disabled_at', NOW, 'disabled_reason', reason)
end

-- A notice of progress that failed is worth sending again only while there is no later news.
local function is_outdated(event, job, created_at)
  return event == 'job.progress'
    and (field(job, 'status') ~= 'running' or number_field(job, 'progress_at') > tonumber(created_at))
end
