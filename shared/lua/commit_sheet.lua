#!lua flags=allow-oom
-- A cancel that was answered wins over a sheet that comes later: one terminal state, never two.
local id, unit, attempt, owner, result, labeled, warnings, composed = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7], ARGV[8]
-- The same commit, sent again because its answer was lost with a connection.
if field(id, 'result') == result then return 'committed' end
if not held_unit(id, unit, attempt, owner) then return 'lost' end
redis.call('HINCRBY', job_key(id), 'commits', 1)
drop_unit(id, unit)
if finish_if_canceled(id) then return 'canceled' end
finish(id, 'succeeded', 'result', result, 'labeled', labeled, 'warnings', warnings, 'composed', composed)
return 'committed'
