-- Shared by every script. One clock: Redis's own, in milliseconds. The life of a job and of a unit
-- of work is drawn in docs/architecture.md.
--
-- Each script's first line says what it may do in a store that is full. Without flags it is refused
-- there as a whole, before its first write: it would bring something new. `allow-oom` goes on, with the
-- little room that it takes: it carries on, or ends, what was accepted. `no-writes` only reads.
--
-- job:ID            hash, the record       job:ID:images    hash, index -> SourceImage
-- job:ID:units      hash, unit -> state    job:ID:pending   zset, units nobody works on
-- job:ID:captions   hash, position -> ImageCaption
-- job:ID:events     stream of its changes, and `changes`, a channel that names each job that changed
-- leases:KIND       zset, "ID|unit" -> when its lease ends
-- held:KIND         hash, tenant -> how many of those leases are its
-- suspects          zset, "ID|unit" of caption units with one chance left   suspect  the one that is out
-- ring:KIND         zset, tenants with work, by turn    ring:KIND:TENANT  zset, their jobs, by turn
-- api_keys          hash, digest -> ApiKey      limits:TENANT    hash, name -> the tenant's own limit
-- usage:TENANT:DAY  hash, images and bytes stored on that day of UTC
-- queued, active, active:TENANT, jobs:TENANT, deadlines, expiry, expired   zsets of job ids by time
-- idempotency:TENANT:KEY   hash: the job it made, or the one that is being accepted
-- counters          hash, name|label... -> number
-- orphans           zset, job ids and storage keys of files without a record -> when first seen
-- source:ID..., sources:TENANT, collection:ID...   what inbound.lua tells of
-- Those of webhooks stand in deliveries.lua.
local P = KEYS[1]

local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local NOW = now_ms()

local announce -- stores the deliveries of an event of a job: deliveries.lua

local function job_key(id, part)
  return P .. 'job:' .. id .. (part and (':' .. part) or '')
end

local function field(id, name)
  return redis.call('HGET', job_key(id), name)
end

local function number_field(id, name)
  return tonumber(field(id, name) or 0)
end

-- A deleted job is nobody's, though its record stays until its files are gone.
local function belongs_to(id, tenant)
  return field(id, 'tenant') == tenant and not field(id, 'deleted')
end

local function kind_of(unit)
  return string.match(unit, '^%a+')
end

local EVENTS_KEPT = 100
local EVENTS_KEPT_MS = 600000

-- Tells listeners how far a job is: each change of status or stage at once, mere progress once a
-- second at most.
local function tell(id)
  local key = job_key(id)
  local job = redis.call('HMGET', key, 'status', 'stage', 'captions_done', 'composed', 'told', 'told_progress', 'told_at')
  local status, stage, captions_done, composed = job[1], job[2], job[3] or 0, job[4] or 0
  local standing, progress = status .. ' ' .. stage, captions_done .. ' ' .. composed
  if standing == job[5] and (progress == job[6] or NOW - tonumber(job[7]) < 1000) then return end
  local event = redis.call('XADD', job_key(id, 'events'), 'MAXLEN', EVENTS_KEPT, '*',
    'status', status, 'stage', stage, 'captions_done', captions_done, 'composed', composed)
  redis.call('HSET', key, 'told', standing, 'told_progress', progress, 'told_at', NOW, 'last_event', event)
  redis.call('PUBLISH', P .. 'changes', id)
  if status == 'running' and job[5] and string.find(job[5], '^running') then
    announce(id, 'job.progress')
  end
end

-- Wakes one waiting dispatcher; one token is enough for all that is due.
local function wake_dispatcher()
  if redis.call('LLEN', P .. 'wake') == 0 then redis.call('LPUSH', P .. 'wake', 1) end
end

-- Priority orders the jobs of one tenant; tenants take turns whatever the priority of their jobs.
local function join_ring(id, kind)
  local tenant = field(id, 'tenant')
  local turn = redis.call('INCR', P .. 'turn')
  local rank = number_field(id, 'priority_rank')
  redis.call('ZADD', P .. 'ring:' .. kind .. ':' .. tenant, 'NX', rank * 1e14 + turn, id)
  redis.call('ZADD', P .. 'ring:' .. kind, 'NX', turn, tenant)
  wake_dispatcher()
end

local function read_unit(id, unit)
  local state = redis.call('HGET', job_key(id, 'units'), unit)
  return state and cjson.decode(state)
end

local function write_unit(id, unit, state)
  redis.call('HSET', job_key(id, 'units'), unit, cjson.encode(state))
end

-- A unit that may be what kills workers runs while no other such unit does, or the innocent ones that
-- a worker had beside it would use up their attempts with it.
local function make_due(id, unit, state)
  write_unit(id, unit, state)
  if state.suspect then
    redis.call('ZADD', P .. 'suspects', 'NX', redis.call('INCR', P .. 'turn'), id .. '|' .. unit)
    wake_dispatcher()
    return
  end
  redis.call('ZADD', job_key(id, 'pending'), tonumber(string.match(unit, ':(%d+)') or 0), unit)
  join_ring(id, kind_of(unit))
end

local function held_key(kind)
  return P .. 'held:' .. kind
end

local function end_lease(id, unit)
  if redis.call('GET', P .. 'suspect') == id .. '|' .. unit then redis.call('DEL', P .. 'suspect') end
  if redis.call('ZREM', P .. 'leases:' .. kind_of(unit), id .. '|' .. unit) == 1 then
    redis.call('HINCRBY', job_key(id), 'inflight', -1)
    local held, tenant = held_key(kind_of(unit)), field(id, 'tenant')
    if redis.call('HINCRBY', held, tenant, -1) <= 0 then redis.call('HDEL', held, tenant) end
    if redis.call('EXISTS', job_key(id, 'pending')) == 1 then join_ring(id, kind_of(unit)) end
    wake_dispatcher()
  end
end

local function drop_unit(id, unit)
  end_lease(id, unit)
  redis.call('ZREM', job_key(id, 'pending'), unit)
  redis.call('ZREM', P .. 'suspects', id .. '|' .. unit)
  redis.call('HDEL', job_key(id, 'units'), unit)
end

-- A tenant's own limit where the operator set one, else everybody's.
local function tenant_limit(tenant, name, default)
  return tonumber(redis.call('HGET', P .. 'limits:' .. tenant, name) or default)
end

-- The share of its memory that the store has used; 0 where it has no bound. New jobs are refused well
-- before it is full, or those that were accepted could not be finished: workers and broker write too.
local MEMORY_FOR_JOBS = 0.9
local function used_memory()
  local info = redis.call('INFO', 'memory')
  local limit = tonumber(string.match(info, '\nmaxmemory:(%d+)'))
  return limit > 0 and tonumber(string.match(info, 'used_memory:(%d+)')) / limit or 0
end

-- Why a tenant may not have one more unfinished job now, if there is a reason.
local function refusal(tenant, max_jobs, max_tenant_jobs)
  local used = used_memory()
  if used > MEMORY_FOR_JOBS then return {'short_of_memory', string.format('%.0f', 100 * used)} end
  if redis.call('ZCARD', P .. 'active') >= max_jobs then return {'full', tostring(max_jobs)} end
  local limit = tenant_limit(tenant, 'queued_jobs', max_tenant_jobs)
  if redis.call('ZCARD', P .. 'active:' .. tenant) >= limit then
    return {'tenant_full', tostring(limit)}
  end
  return nil
end

-- `attempt` is the highest one so far: attempts of an earlier run must never be taken for new ones.
local function enqueue(id, tenant, units, attempt)
  for _, set in ipairs({'queued', 'active', 'active:' .. tenant}) do
    redis.call('ZADD', P .. set, NOW, id)
  end
  for _, unit in ipairs(units) do make_due(id, unit, {attempt = attempt, failures = 0}) end
  local cancel_after = number_field(id, 'cancel_after_ms')
  if cancel_after > 0 then redis.call('ZADD', P .. 'deadlines', NOW + cancel_after, id) end
  redis.call('PERSIST', job_key(id, 'events'))
  tell(id)
end

-- Counters and histograms as in shared/counters.py: bucket k holds values up to 2^k.
local function count(name, amount)
  redis.call('HINCRBY', P .. 'counters', name, amount)
end

local function observe(name, value)
  local bucket = 0
  while 2 ^ bucket < value and bucket < 22 do bucket = bucket + 1 end
  count(name .. '|' .. bucket, 1)
  count(name .. '|sum', math.max(0, value))
end

local function count_finished(id, status)
  count('jobs_finished|' .. status, 1)
  local started, captioned = number_field(id, 'started_at'), number_field(id, 'captioned_at')
  if started > 0 then observe('stage_ms|queue', started - number_field(id, 'queued_at')) end
  if captioned > 0 then observe('stage_ms|caption', captioned - started) end
  if status == 'succeeded' then observe('stage_ms|compose', NOW - math.max(started, captioned)) end
end

-- The only place where a job's status becomes terminal.
local function finish(id, status, ...)
  local tenant = field(id, 'tenant')
  for _, unit in ipairs(redis.call('HKEYS', job_key(id, 'units'))) do drop_unit(id, unit) end
  for _, kind in ipairs({'caption', 'compose'}) do
    local jobs = P .. 'ring:' .. kind .. ':' .. tenant
    redis.call('ZREM', jobs, id)
    if redis.call('EXISTS', jobs) == 0 then redis.call('ZREM', P .. 'ring:' .. kind, tenant) end
  end
  count_finished(id, status)
  local expires_at = field(id, 'deleted') and NOW or NOW + number_field(id, 'ttl_ms')
  redis.call('HSET', job_key(id), 'status', status, 'stage', 'done', 'finished_at', NOW,
    'expires_at', expires_at, ...)
  redis.call('DEL', job_key(id, 'captions'))
  redis.call('ZREM', P .. 'queued', id)
  redis.call('ZREM', P .. 'active', id)
  redis.call('ZREM', P .. 'active:' .. tenant, id)
  redis.call('ZREM', P .. 'deadlines', id)
  redis.call('ZADD', P .. 'expiry', expires_at, id)
  tell(id)
  announce(id, 'job.' .. status)
  -- Who was cut off resumes by then; later the record alone says it all.
  redis.call('PEXPIRE', job_key(id, 'events'), EVENTS_KEPT_MS)
end

local function is_terminal(status)
  return status ~= 'queued' and status ~= 'running' and status ~= 'canceling'
end

-- A canceled job ends once nobody works on it any more.
local function finish_if_canceled(id)
  if field(id, 'status') ~= 'canceling' then return false end
  if number_field(id, 'inflight') <= 0 then finish(id, 'canceled') end
  return true
end

-- Ends a job: what a worker has begun at its next beat, the rest here.
local function stop(id)
  redis.call('HSET', job_key(id), 'status', 'canceling')
  for _, unit in ipairs(redis.call('HKEYS', job_key(id, 'units'))) do
    if not read_unit(id, unit).owner then drop_unit(id, unit) end
  end
  finish_if_canceled(id)
  tell(id)
end

local function compose_when_captioned(id)
  if redis.call('EXISTS', job_key(id, 'units')) == 1 then return end
  redis.call('HSET', job_key(id), 'stage', 'composing', 'captioned_at', NOW)
  make_due(id, 'compose', {attempt = number_field(id, 'attempts_before'), failures = 0})
  tell(id)
end

local function put_caption(id, position, caption)
  redis.call('HSET', job_key(id, 'captions'), position, caption)
  redis.call('HINCRBY', job_key(id), 'captions_done', 1)
end

-- A unit that failed too often: a chunk is halved until the one bad image stands alone and goes
-- without a caption; a sheet that cannot be composed fails its job.
local function give_up(id, unit, state, detail, max_attempts)
  drop_unit(id, unit)
  local lo, hi = string.match(unit, '^caption:(%d+):(%d+)$')
  if not lo then
    finish(id, 'failed', 'error_code', 'compose_failed', 'error_detail', detail)
    return
  end
  lo, hi = tonumber(lo), tonumber(hi)
  if hi - lo > 1 then
    local half = math.floor((lo + hi) / 2)
    for _, range in ipairs({{lo, half}, {half, hi}}) do
      local part = string.format('caption:%d:%d', range[1], range[2])
      make_due(id, part, {attempt = state.attempt, failures = max_attempts - 1, suspect = true})
    end
  else
    put_caption(id, lo, cjson.encode({reason = 'captioning failed: ' .. detail, fallback = true}))
    compose_when_captioned(id)
  end
end

-- Takes a unit back from whoever had it. `failed` says whether somebody had begun it: a message
-- that nobody took is no failure.
local function take_back(id, unit, state, failed, detail, max_attempts)
  if field(id, 'status') == 'canceling' then
    drop_unit(id, unit)
    finish_if_canceled(id)
    return
  end
  if failed then state.failures = state.failures + 1 end
  if state.failures >= max_attempts then
    give_up(id, unit, state, detail, max_attempts)
  else
    local suspect = kind_of(unit) == 'caption' and state.failures > 0 and state.failures >= max_attempts - 1
    -- After the lease, for that clears the place of the one suspect that is out.
    end_lease(id, unit)
    make_due(id, unit, {attempt = state.attempt, failures = state.failures, suspect = suspect or nil})
  end
end

-- The state of a unit, if `attempt` by `owner` is the one that holds it.
local function held_unit(id, unit, attempt, owner)
  local state = read_unit(id, unit)
  if state and state.attempt == tonumber(attempt) and state.owner == owner then return state end
  return nil
end

-- What `tenant` would go over by storing `used` today: {name, its limit, seconds until it may again}.
local DAY_MS = 86400000
local function over_quota(tenant, used, per_day)
  for name, amount in pairs(used) do
    local key = P .. 'usage:' .. tenant .. ':' .. math.floor(NOW / DAY_MS)
    local limit = tenant_limit(tenant, name .. '_per_day', per_day[name])
    if tonumber(redis.call('HGET', key, name) or 0) + amount > limit then
      return {name, limit, math.ceil((DAY_MS - NOW % DAY_MS) / 1000)}
    end
  end
  return nil
end

-- Counts `used` as stored today, unless that would go over: then as `over_quota`, and nothing.
local function charge(tenant, used, per_day)
  local over = over_quota(tenant, used, per_day)
  if over then return over end
  local key = P .. 'usage:' .. tenant .. ':' .. math.floor(NOW / DAY_MS)
  for name, amount in pairs(used) do redis.call('HINCRBY', key, name, amount) end
  redis.call('PEXPIRE', key, 2 * DAY_MS)
  return nil
end

-- Counts a request of `tenant`; where it has too many a minute, milliseconds until it may again. A
-- token bucket that holds a minute's requests, kept as the one time at which it will be full again
-- (the virtual scheduling algorithm of ITU-T I.371, annex A).
local function take_token(tenant, requests_per_minute)
  local interval = 60000 / tenant_limit(tenant, 'requests_per_minute', requests_per_minute)
  local bucket = P .. 'bucket:' .. tenant
  local full_at = math.max(NOW, tonumber(redis.call('GET', bucket) or 0)) + interval
  if full_at - NOW > 60000 then return math.ceil(full_at - NOW - 60000) end
  redis.call('SET', bucket, string.format('%.3f', full_at), 'PX', math.ceil(full_at - NOW))
  return nil
end
