#!lua flags=allow-oom
-- What became of an attempt: 'delivered', 'refused' (answered, but not with success), 'unanswered' or
-- 'gone'. `delay_ms` is the pause before the next one, empty where there is none.
-- Returns the delivery's state now, or 'lost' where the attempt no longer holds it.
local id, attempt, outcome, delay_ms, entry = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local keep_ms, patience_ms = ARGV[6], tonumber(ARGV[7])
local known = redis.call('HMGET', delivery_key(id), 'attempts', 'lane', 'endpoint', 'job', 'type', 'created_at')
local lane, endpoint, job = known[2], known[3], known[4]
if known[1] ~= attempt or not redis.call('ZSCORE', P .. 'delivery_leases', id) then return 'lost' end

redis.call('RPUSH', delivery_key(id, 'attempts'), entry)
redis.call('LTRIM', delivery_key(id, 'attempts'), -ATTEMPTS_KEPT, -1)
redis.call(outcome == 'unanswered' and 'SADD' or 'SREM', P .. 'troubled_lanes', lane)
count('delivery_attempts|' .. outcome, 1)
local is_stored = endpoint ~= '' and redis.call('EXISTS', endpoint_key(endpoint)) == 1

if outcome == 'delivered' then
  if is_stored then redis.call('HDEL', endpoint_key(endpoint), 'failing_since') end
  observe('delivery_ms', NOW - tonumber(known[6]))
  end_delivery(id, lane, 'delivered', keep_ms)
  return 'delivered'
end

redis.call('HINCRBY', delivery_key(id), 'failures', 1)
if is_stored then
  redis.call('HSETNX', endpoint_key(endpoint), 'failing_since', NOW)
  local since = tonumber(redis.call('HGET', endpoint_key(endpoint), 'failing_since'))
  if outcome == 'gone' then
    disable(endpoint, 'its receiver answered 410 Gone')
  elseif NOW - since >= patience_ms then
    disable(endpoint, string.format('nothing could be delivered for %g days', patience_ms / DAY_MS))
  end
elseif outcome == 'gone' and redis.call('EXISTS', job_key(job)) == 1 then
  redis.call('HSET', job_key(job), 'webhook_gone', 1)
end

local state = 'pending'
if outcome == 'gone' or delay_ms == '' then
  state = 'dead'
elseif endpoint ~= '' and not is_stored then
  state = 'stopped'
elseif is_outdated(known[5], job, known[6]) then
  state = 'superseded'
end
if state == 'pending' then
  unschedule(id, lane)
  schedule(id, lane, NOW + tonumber(delay_ms))
else
  end_delivery(id, lane, state, keep_ms)
end
return state
