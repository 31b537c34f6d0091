#!lua flags=no-writes
-- Of each job, named in the words that follow the first: the values of its record's fields, which the
-- first names, and its rank in the queue.
local names, views = {}, {}
for name in string.gmatch(ARGV[1], '%S+') do names[#names + 1] = name end
for nth = 2, #ARGV do
  local values = redis.call('HMGET', job_key(ARGV[nth]), unpack(names))
  values[#values + 1] = redis.call('ZRANK', P .. 'queued', ARGV[nth])
  views[#views + 1] = values
end
return views
