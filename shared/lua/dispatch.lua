#!lua flags=allow-oom
-- Grants leases for up to `room` units of one kind: tenants take turns, and so do a tenant's jobs.
-- The last `reserved` places are for tenants who hold none, so that who asks for little need not wait
-- until those who ask for much give something back.
-- Safe in any number of dispatchers at once. Returns {job, unit, attempt} for each grant.
local kind, room, reserved = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local window, lease_ms, max_attempts = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local leases = P .. 'leases:' .. kind

for _, member in ipairs(redis.call('ZRANGEBYSCORE', leases, '-inf', NOW, 'LIMIT', 0, 200)) do
  local id, unit = string.match(member, '^(.-)|(.+)$')
  local state = read_unit(id, unit)
  if state then
    take_back(id, unit, state, state.owner ~= nil, 'the worker stopped answering', max_attempts)
  else
    redis.call('ZREM', leases, member)
  end
end

local grants = {}

local function grant(id, unit, state)
  state.attempt = state.attempt + 1
  -- Until it is begun or taken back: a late message must not begin what waits or pauses by then.
  write_unit(id, unit, {attempt = state.attempt, failures = state.failures, suspect = state.suspect, granted = true})
  redis.call('ZADD', leases, NOW + lease_ms, id .. '|' .. unit)
  redis.call('HINCRBY', job_key(id), 'inflight', 1)
  redis.call('HINCRBY', held_key(kind), field(id, 'tenant'), 1)
  grants[#grants + 1] = {id, unit, state.attempt}
end

local function suspect_is_out()
  local member = redis.call('GET', P .. 'suspect')
  return member and redis.call('ZSCORE', leases, member)
end

while kind == 'caption' and #grants < room and not suspect_is_out() do
  local member = redis.call('ZPOPMIN', P .. 'suspects')[1]
  if not member then break end
  local id, unit = string.match(member, '^(.-)|(.+)$')
  local state = read_unit(id, unit)
  if state then
    redis.call('SET', P .. 'suspect', member)
    grant(id, unit, state)
  end
end

-- A job at its window leaves the ring; the end of a lease brings it back.
local function grant_next(jobs)
  local id = redis.call('ZPOPMIN', jobs)[1]
  if not id or number_field(id, 'inflight') >= window then return end
  local unit = redis.call('ZPOPMIN', job_key(id, 'pending'))[1]
  if not unit then return end
  grant(id, unit, read_unit(id, unit))
  if redis.call('EXISTS', job_key(id, 'pending')) == 1 then join_ring(id, kind) end
end

-- What a lost record left behind would keep its tenant from the reserved places for good.
if redis.call('EXISTS', leases) == 0 then redis.call('DEL', held_key(kind)) end
local ring, passed_over = P .. 'ring:' .. kind, {}
while #grants < room do
  local tenant, turn = unpack(redis.call('ZPOPMIN', ring))
  if not tenant then break end
  if room - #grants <= reserved and redis.call('HEXISTS', held_key(kind), tenant) == 1 then
    passed_over[tenant] = turn
  else
    local jobs = ring .. ':' .. tenant
    grant_next(jobs)
    if redis.call('EXISTS', jobs) == 1 then
      redis.call('ZADD', ring, 'NX', redis.call('INCR', P .. 'turn'), tenant)
    end
  end
end
for tenant, turn in pairs(passed_over) do redis.call('ZADD', ring, turn, tenant) end
return grants
