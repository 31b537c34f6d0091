#!lua flags=no-writes
-- What waits: units of either kind for a worker, and deliveries that are due. {caption, compose, due}
-- Two look-ups for each unfinished job.
local waiting = {caption = 0, compose = 0}
for _, id in ipairs(redis.call('ZRANGE', P .. 'active', 0, -1)) do
  local pending = job_key(id, 'pending')
  local count = redis.call('ZCARD', pending)
  if count > 0 then
    -- A job's sheet is due only once its last chunk is in.
    local kind = redis.call('ZSCORE', pending, 'compose') and 'compose' or 'caption'
    waiting[kind] = waiting[kind] + count
  end
end
waiting.caption = waiting.caption + redis.call('ZCARD', P .. 'suspects')
return {waiting.caption, waiting.compose, redis.call('ZCOUNT', P .. 'deliveries', '-inf', NOW)}
