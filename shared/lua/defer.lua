#!lua flags=allow-oom
-- An attempt that met something which is neither its fault nor its job's, as a full disk: it is made
-- again after a pause, however often that takes.
local id, unit, attempt, owner, pause_ms, max_attempts = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6])
local state = held_unit(id, unit, attempt, owner)
if not state then return 'lost' end
if field(id, 'status') == 'canceling' then
  take_back(id, unit, state, false, '', max_attempts)
else
  -- Without an owner the end of the lease is no failure.
  write_unit(id, unit, {attempt = state.attempt, failures = state.failures, suspect = state.suspect})
  redis.call('ZADD', P .. 'leases:' .. kind_of(unit), NOW + pause_ms, id .. '|' .. unit)
end
return 'deferred'
