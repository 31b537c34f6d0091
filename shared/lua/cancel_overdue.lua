#!lua flags=allow-oom
-- Cancels jobs that are not over by the time their callers have set; returns their ids.
local limit, canceled = tonumber(ARGV[1]), {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', P .. 'deadlines', '-inf', NOW, 'LIMIT', 0, limit)) do
  redis.call('ZREM', P .. 'deadlines', id)
  local status = field(id, 'status')
  if status == 'queued' or status == 'running' then
    redis.call('HSET', job_key(id), 'error_code', 'deadline_exceeded', 'error_detail',
      string.format('not over after %g s, the time that Cancel-After gave it', number_field(id, 'cancel_after_ms') / 1000))
    stop(id)
    canceled[#canceled + 1] = id
  end
end
return canceled
