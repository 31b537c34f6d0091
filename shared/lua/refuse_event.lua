#!lua
-- Notes that something came for a source and was not taken. Anybody can send such, so the owner gets
-- a number and the last reason, and no line in the log.
local id, adapter, detail = ARGV[1], ARGV[2], ARGV[3]
if redis.call('EXISTS', source_key(id)) == 0 then return 0 end
count_events(id, adapter, 'refused')
redis.call('HSET', source_key(id), 'refusal', detail, 'refused_at', NOW)
return 1
