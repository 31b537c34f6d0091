#!lua flags=allow-oom
-- ARGV: job, unit, attempt, owner, then one caption a position of the unit.
local id, unit, attempt, owner = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
if not held_unit(id, unit, attempt, owner) then return 'lost' end
local lo = string.match(unit, '^caption:(%d+):')
for n = 5, #ARGV do put_caption(id, lo + n - 5, ARGV[n]) end
redis.call('HINCRBY', job_key(id), 'commits', 1)
drop_unit(id, unit)
if not finish_if_canceled(id) then compose_when_captioned(id) end
tell(id)
return 'committed'
