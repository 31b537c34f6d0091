-- Remembers an upload for a while; its file is swept a little later than its record.
local name, image, key, ttl_ms = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
redis.call('SET', P .. 'upload:' .. name, image, 'PX', ttl_ms)
redis.call('ZADD', P .. 'uploads', NOW + ttl_ms + 60000, key)
return 1
