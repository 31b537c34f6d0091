#!lua flags=allow-oom
-- An attempt that ended in an error. A code fails the job at once; without one the unit is tried
-- again after a pause that doubles, for what is in its way (a full disk, say) may pass.
local id, unit, attempt, owner, code, detail, max_attempts = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6], tonumber(ARGV[7])
local state = held_unit(id, unit, attempt, owner)
if not state then return 'lost' end
if code ~= '' then
  drop_unit(id, unit)
  if not finish_if_canceled(id) then
    finish(id, 'failed', 'error_code', code, 'error_detail', detail)
  end
elseif state.failures + 1 >= max_attempts or field(id, 'status') == 'canceling' then
  take_back(id, unit, state, true, detail, max_attempts)
else
  -- Without an owner the end of the lease is no second failure.
  write_unit(id, unit, {attempt = state.attempt, failures = state.failures + 1, suspect = state.suspect})
  redis.call('ZADD', P .. 'leases:' .. kind_of(unit), NOW + 1000 * 2 ^ state.failures, id .. '|' .. unit)
end
return 'failed'
