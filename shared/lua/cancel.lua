local id, tenant = ARGV[1], ARGV[2]
if field(id, 'tenant') ~= tenant then return nil end
local status = field(id, 'status')
if is_terminal(status) then return status end
redis.call('HSET', job_key(id), 'status', 'canceling')
for _, unit in ipairs(redis.call('HKEYS', job_key(id, 'units'))) do
  -- What a worker has begun ends at its next beat; the rest ends here.
  if not read_unit(id, unit).owner then drop_unit(id, unit) end
end
finish_if_canceled(id)
return field(id, 'status')
