#!lua flags=allow-oom
-- Moves on the time at which a collection is looked at again: a beat of the process that has it, or
-- its next try.
local id, owner, wait_ms = ARGV[1], ARGV[2], tonumber(ARGV[3])
if redis.call('HGET', collection_key(id), 'owner') ~= owner then return 0 end
redis.call('ZADD', P .. 'collections', NOW + wait_ms, id)
if ARGV[4] == '1' then redis.call('HSET', collection_key(id), 'attempts', 0) end
return 1
