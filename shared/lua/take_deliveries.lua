#!lua flags=allow-oom
-- Grants leases for up to `room` deliveries that are due, in turns over lanes; a lane has at most
-- `cap` under way, and one while its receiver does not answer. Safe in any number of deliverers.
-- Returns the time, then {id, attempt, failures, event, job, created_at, url, secrets, about} for each.
local room, cap, lease_ms, keep_ms = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]

-- What a deliverer had that died is due again.
for _, id in ipairs(redis.call('ZRANGEBYSCORE', P .. 'delivery_leases', '-inf', NOW, 'LIMIT', 0, 200)) do
  local lane = redis.call('HGET', delivery_key(id), 'lane')
  redis.call('ZREM', P .. 'delivery_leases', id)
  if lane then
    redis.call('SREM', P .. 'sending:' .. lane, id)
    schedule(id, lane, NOW)
  end
end

-- Where it goes now, or why it goes nowhere.
local function address(known)
  if known.endpoint == '' then
    if field(known.job, 'webhook_gone') then return nil, nil, 'its receiver has answered 410' end
    return known.url, known.secret
  end
  local endpoint = redis.call('HMGET', endpoint_key(known.endpoint), 'url', 'secret', 'old_secret',
    'old_secret_until', 'disabled_at')
  if not endpoint[1] then return nil, nil, 'its endpoint was deleted' end
  if endpoint[5] then return nil, nil, 'its endpoint is disabled' end
  local is_old_good = endpoint[3] and tonumber(endpoint[4]) > NOW
  return endpoint[1], endpoint[2] .. (is_old_good and (' ' .. endpoint[3]) or '')
end

local FIELDS = {'type', 'job', 'endpoint', 'created_at', 'url', 'secret', 'about', 'failures'}

local function grant(id, lane)
  local known = {}
  for n, value in ipairs(redis.call('HMGET', delivery_key(id), unpack(FIELDS))) do known[FIELDS[n]] = value end
  if not known.type then
    unschedule(id, lane)
    return nil
  end
  local url, secrets, reason = address(known)
  if not url then
    redis.call('HSET', delivery_key(id), 'reason', reason)
    end_delivery(id, lane, 'stopped', keep_ms)
    return nil
  end
  redis.call('ZREM', P .. 'due:' .. lane, id)
  redis.call('ZADD', P .. 'delivery_leases', NOW + lease_ms, id)
  redis.call('SADD', P .. 'sending:' .. lane, id)
  local attempt = redis.call('HINCRBY', delivery_key(id), 'attempts', 1)
  return {id, attempt, known.failures, known.type, known.job, known.created_at, url, secrets, known.about}
end

local grants = {}
for _, lane in ipairs(redis.call('ZRANGEBYSCORE', P .. 'lanes', '-inf', NOW, 'LIMIT', 0, 200)) do
  local most = redis.call('SISMEMBER', P .. 'troubled_lanes', lane) == 1 and 1 or cap
  local free = most - redis.call('SCARD', P .. 'sending:' .. lane)
  if free > 0 and room > #grants then
    for _, id in ipairs(redis.call('ZRANGEBYSCORE', P .. 'due:' .. lane, '-inf', NOW, 'LIMIT', 0, math.min(free, room - #grants))) do
      local granted = grant(id, lane)
      if granted then
        grants[#grants + 1] = granted
        free = free - 1
      end
    end
  end
  -- A full lane leaves; the end of an attempt brings it back.
  if free <= 0 then redis.call('ZREM', P .. 'lanes', lane) else offer(lane) end
end
return {NOW, unpack(grants)}
