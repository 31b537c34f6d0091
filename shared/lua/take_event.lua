#!lua
-- Takes one event of a source, once. Returns {outcome, milliseconds to wait}: 'accepted',
-- 'duplicate', 'ignored'; refused with 'unknown', 'limited' or 'full'.
--
-- An event brings frames, or the end of its job, or both. It joins the job's open collection, which
-- becomes due when nothing more is expected or when its quiet time is over. Where jobs share one
-- collection, no end of any of them ends it.
local id, adapter, event, new_id = ARGV[1], ARGV[2], cjson.decode(ARGV[3]), ARGV[4]
local limits = cjson.decode(ARGV[5])
local tenant = redis.call('HGET', source_key(id), 'tenant')
if not tenant then return {'unknown', 0} end
if limits.requests_per_minute > 0 then
  local wait_ms = take_token(tenant, limits.requests_per_minute)
  if wait_ms then return {'limited', wait_ms} end
end

local seen = source_key(id, 'seen')
redis.call('ZREMRANGEBYSCORE', seen, '-inf', NOW - limits.ttl_ms)
for _, key in ipairs(event.keys) do
  if redis.call('ZSCORE', seen, key) then
    count_events(id, adapter, 'duplicate')
    return {'duplicate', 0}
  end
end

local function taken(outcome)
  for _, key in ipairs(event.keys) do redis.call('ZADD', seen, NOW, key) end
  redis.call('ZREMRANGEBYRANK', seen, 0, -limits.seen - 1)
  redis.call('PEXPIRE', seen, limits.ttl_ms)
  count_events(id, adapter, outcome)
  redis.call('HSET', source_key(id), 'event_at', NOW)
  return {outcome, 0}
end

local gathering = source_key(id, 'gathering')
local collection = redis.call('HGET', gathering, event.job_key)

-- For a moment after a failure its last frames may still be on their way: they open nothing.
local failed = source_key(id, 'failed:' .. event.job_key)
if event.ends == 'failed' then
  if not event.shared then
    if collection then drop_collection(collection) end
    redis.call('SET', failed, 1, 'PX', limits.failed_ms)
  end
  log_source(id, 'render_failed', event.job, event.detail)
  count('inbound_collections|render_failed', 1)
  return taken('accepted')
end
if event.ends == '' and #event.frames == 0 then return taken('ignored') end
if redis.call('EXISTS', failed) == 1 then return taken('ignored') end

local brought = 0
for _, frame in ipairs(event.frames) do brought = brought + #frame.value end
local used = tonumber(redis.call('GET', P .. 'collected:' .. tenant) or 0)
if used + brought > limits.bytes then return {'full', limits.retry_ms} end
if not collection then
  if redis.call('ZCARD', source_key(id, 'open')) >= limits.open then return {'full', limits.retry_ms} end
  collection = new_id
  redis.call('HSET', collection_key(collection), 'source', id, 'tenant', tenant, 'job', event.job,
    'job_key', event.job_key, 'opened_at', NOW, 'bytes', 0, 'left_out', 0, 'attempts', 0)
  redis.call('HSET', gathering, event.job_key, collection)
  redis.call('ZADD', source_key(id, 'open'), NOW, collection)
end
local record, frames = collection_key(collection), collection_key(collection, 'frames')
if event.name ~= '' then redis.call('HSET', record, 'name', event.name) end
if event.expected > 0 then redis.call('HSET', record, 'expected', event.expected) end
if event.ends ~= '' then redis.call('HSET', record, 'ended', 1) end

local grown = 0
for _, frame in ipairs(event.frames) do
  local earlier = redis.call('HGET', frames, frame.key)
  local at = frame.at > 0 and frame.at or NOW
  if earlier and tonumber(string.match(earlier, '^%d+')) > at then
    -- A frame that was rendered again overtook this one.
  elseif not earlier and redis.call('HLEN', frames) >= limits.frames then
    redis.call('HINCRBY', record, 'left_out', 1)
  else
    local value = string.format('%.0f|%s', at, frame.value)
    grown = grown + #value - (earlier and #earlier or 0)
    redis.call('HSET', frames, frame.key, value)
  end
end
redis.call('HINCRBY', record, 'bytes', grown)
redis.call('INCRBY', P .. 'collected:' .. tenant, grown)

local state = redis.call('HMGET', record, 'ended', 'expected')
local wait_ms = limits.quiet_ms
if state[1] then
  local expected = tonumber(state[2] or 0)
  if expected == 0 then wait_ms = math.min(wait_ms, limits.settle_ms)
  elseif redis.call('HLEN', frames) >= expected then wait_ms = 0 end
end
redis.call('ZADD', P .. 'collections', NOW + wait_ms, collection)
return taken('accepted')
