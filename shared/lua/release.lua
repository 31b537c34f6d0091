#!lua flags=allow-oom
-- The end of a reservation of which no job came; create.lua ends the others.
local id, tenant, key = ARGV[1], ARGV[2], ARGV[3]
local remembered = P .. 'idempotency:' .. tenant .. ':' .. key
if redis.call('HGET', remembered, 'reserved_by') == id then redis.call('DEL', remembered) end
return 1
