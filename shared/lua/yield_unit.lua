#!lua flags=allow-oom
-- An attempt that stops without fault: its job was canceled, or its worker is going away.
local id, unit, attempt, owner, max_attempts = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
local state = held_unit(id, unit, attempt, owner)
if not state then return 'lost' end
take_back(id, unit, state, false, '', max_attempts)
return 'yielded'
