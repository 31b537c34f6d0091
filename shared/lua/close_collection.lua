#!lua flags=allow-oom
-- Ends a collection, for the process that has it: with a grid, or with the reason why there is none.
local id, owner, outcome, detail, grid = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local it = redis.call('HMGET', collection_key(id), 'owner', 'source', 'job')
if it[1] ~= owner then return 0 end
log_source(it[2], outcome, it[3], detail, grid)
redis.call('HINCRBY', source_key(it[2]), outcome, 1)
count('inbound_collections|' .. outcome, 1)
drop_collection(id)
return 1
