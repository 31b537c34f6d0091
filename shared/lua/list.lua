#!lua flags=no-writes
-- A page of a tenant's jobs, newest first, from behind the place (score, last). However few of them
-- have the wanted status, one call looks at `reach` jobs at most, and it takes no more than a page's
-- worth of bytes. Returns {score, last, id...}; the first two are '' where no job is left.
local tenant, status, limit, reach, max_bytes = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local score, last = ARGV[6], ARGV[7]
local behind = tonumber(score)
local page, looked_at, bytes, offset = {score, last}, 0, 0, 0

while true do
  local members = redis.call('ZRANGE', P .. 'jobs:' .. tenant, behind or '+inf', '-inf',
    'BYSCORE', 'REV', 'LIMIT', offset, 100, 'WITHSCORES')
  if #members == 0 then break end
  for n = 1, #members, 2 do
    local id, at = members[n], members[n + 1]
    if not behind or tonumber(at) < behind or id < last then
      if #page - 2 == limit or looked_at == reach or bytes >= max_bytes then return page end
      page[1], page[2] = at, id
      looked_at = looked_at + 1
      local found = field(id, 'status')
      if found ~= 'expired' and (status == '' or found == status) then
        page[#page + 1] = id
        bytes = bytes + redis.call('HSTRLEN', job_key(id), 'spec') + redis.call('HSTRLEN', job_key(id), 'result')
      end
    end
  end
  offset = offset + 100
end
page[1], page[2] = '', ''
return page
