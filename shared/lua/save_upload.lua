#!lua
-- Remembers an upload for a while; its file is swept a little later than its record. Returns until
-- when, or what it would go over.
local name, image, key, ttl_ms = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local tenant, used, per_day = ARGV[5], cjson.decode(ARGV[6]), cjson.decode(ARGV[7])
local over = charge(tenant, used, per_day)
if over then return over end
redis.call('SET', P .. 'upload:' .. name, image, 'PX', ttl_ms)
redis.call('ZADD', P .. 'uploads', NOW + ttl_ms + 60000, key)
return NOW + ttl_ms
