-- The values of a record's fields, named in one word after the other, and the job's rank in the queue.
local id, names = ARGV[1], {}
for name in string.gmatch(ARGV[2], '%S+') do names[#names + 1] = name end
local values = redis.call('HMGET', job_key(id), unpack(names))
values[#values + 1] = redis.call('ZRANK', P .. 'queued', id)
return values
