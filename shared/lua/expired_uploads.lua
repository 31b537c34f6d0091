#!lua flags=no-writes
return redis.call('ZRANGEBYSCORE', P .. 'uploads', '-inf', NOW, 'LIMIT', 0, tonumber(ARGV[1]))
