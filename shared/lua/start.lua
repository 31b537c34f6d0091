#!lua flags=allow-oom
-- Begins an attempt: refused unless it is the attempt that was granted and nobody has begun it.
-- Returns {spec} and, for a caption unit, its images in order.
local id, unit, attempt, owner, lease_ms, known_version = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6])
local state = read_unit(id, unit)
if not state or state.attempt ~= tonumber(attempt) or not state.granted then return nil end
-- A newer front end's job is left for a newer worker: its lease ends without a failure.
if number_field(id, 'v') > known_version then
  count('messages_dropped|newer_record', 1)
  return nil
end
state.granted, state.owner = nil, owner
write_unit(id, unit, state)
redis.call('ZADD', P .. 'leases:' .. kind_of(unit), NOW + lease_ms, id .. '|' .. unit)
redis.call('HSET', job_key(id), 'status', 'running',
  'stage', unit == 'compose' and 'composing' or 'captioning',
  'attempts', math.max(number_field(id, 'attempts'), state.attempt))
local is_first = redis.call('HSETNX', job_key(id), 'started_at', NOW) == 1
redis.call('ZREM', P .. 'queued', id)
tell(id)
if is_first then announce(id, 'job.started') end
local reply = {field(id, 'spec')}
local lo, hi = string.match(unit, '^caption:(%d+):(%d+)$')
if lo then
  local indices = cjson.decode(field(id, 'to_caption'))
  for position = lo + 1, hi do
    reply[#reply + 1] = redis.call('HGET', job_key(id, 'images'), indices[position])
  end
end
return reply
