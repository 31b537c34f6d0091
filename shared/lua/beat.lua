#!lua flags=allow-oom
-- Extends the lease of the attempt that holds it, and only that one.
-- Returns 'held', 'canceled' (stop soon) or 'lost' (stop: somebody else may have it now).
local id, unit, attempt, owner, lease_ms, done = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5]), ARGV[6]
if not held_unit(id, unit, attempt, owner) then return 'lost' end
redis.call('ZADD', P .. 'leases:' .. kind_of(unit), NOW + lease_ms, id .. '|' .. unit)
if unit == 'compose' then
  redis.call('HSET', job_key(id), 'composed', done)
  tell(id)
end
return field(id, 'status') == 'canceling' and 'canceled' or 'held'
