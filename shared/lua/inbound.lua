-- Shared by the scripts about sources, whose events come in, and collections, which gather frames
-- until a grid can be made of them.
--
-- source:ID            hash: tenant, record, secret, numbers of what came, the last refusal
-- source:ID:log        list of what the owner should know, the newest first
-- source:ID:seen       zset, keys of events by the time they came: duplicates are known by it
-- source:ID:open       zset, ids of its collections by the time they were opened
-- source:ID:gathering  hash, job -> the collection that its next frame joins
-- sources:TENANT       zset, ids by the time they were made
-- collection:ID        hash, the record        collection:ID:frames   hash, frame -> time|Frame
-- collections          zset, ids by when something is to be done; of a claimed one, by lease
-- collected:TENANT     bytes of frames in the tenant's collections
local function source_key(id, part)
  return P .. 'source:' .. id .. (part and (':' .. part) or '')
end

local function collection_key(id, part)
  return P .. 'collection:' .. id .. (part and (':' .. part) or '')
end

local LOG_KEPT = 50

local function log_source(id, outcome, job, detail, grid)
  local entry = {at = NOW, outcome = outcome, job_id = job, detail = detail, grid_job_id = grid}
  redis.call('LPUSH', source_key(id, 'log'), cjson.encode(entry))
  redis.call('LTRIM', source_key(id, 'log'), 0, LOG_KEPT - 1)
end

local function count_events(id, adapter, outcome)
  redis.call('HINCRBY', source_key(id), outcome, 1)
  count('inbound_events|' .. adapter .. '|' .. outcome, 1)
end

local function stop_gathering(id)
  local it = redis.call('HMGET', collection_key(id), 'source', 'job_key')
  local gathering = source_key(it[1], 'gathering')
  if redis.call('HGET', gathering, it[2]) == id then redis.call('HDEL', gathering, it[2]) end
end

local function drop_collection(id)
  local it = redis.call('HMGET', collection_key(id), 'source', 'tenant', 'bytes')
  stop_gathering(id)
  local bytes = P .. 'collected:' .. it[2]
  if redis.call('DECRBY', bytes, it[3] or 0) <= 0 then redis.call('DEL', bytes) end
  redis.call('ZREM', source_key(it[1], 'open'), id)
  redis.call('ZREM', P .. 'collections', id)
  redis.call('DEL', collection_key(id), collection_key(id, 'frames'))
end
