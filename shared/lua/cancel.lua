#!lua flags=allow-oom
local id, tenant = ARGV[1], ARGV[2]
if not belongs_to(id, tenant) then return nil end
if not is_terminal(field(id, 'status')) then stop(id) end
return field(id, 'status')
