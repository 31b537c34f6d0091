#!lua flags=allow-oom
-- Who calls, and may they call now: one round trip for the requests that come together.
-- The digests of their keys follow the limit; for each returns {outcome, tenant, milliseconds to wait}.
local requests_per_minute = tonumber(ARGV[1])

local function admit(digest)
  local stored = redis.call('HGET', P .. 'api_keys', digest)
  if not stored then return {'unknown', '', 0} end
  local key = cjson.decode(stored)
  -- A key that never expires has cjson.null here, which is no number.
  if type(key.expires_at) == 'number' and key.expires_at * 1000 <= NOW then
    return {'expired', '', 0}
  end
  if requests_per_minute == 0 then return {'admitted', key.tenant, 0} end

  local wait_ms = take_token(key.tenant, requests_per_minute)
  if wait_ms then return {'limited', key.tenant, wait_ms} end
  return {'admitted', key.tenant, 0}
end

local answers = {}
for nth = 2, #ARGV do answers[#answers + 1] = admit(ARGV[nth]) end
return answers
