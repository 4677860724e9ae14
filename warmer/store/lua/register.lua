-- Registers a task, or takes over its changed definition; registering the same again changes nothing.
--
-- KEYS  1 tasks  2 definitions  3 owners  4 critical  5 due  6 ready  7 claims  8 ensure  9 again  10 epoch  11 switch
-- ARGV  1 task id  2 definition (JSON with cache_key, fields, enabled, critical, priority)  3 replace: "1" or "0"
--       4 a random epoch, used if there is none  5 prefix of scoped  6 prefix of stats  7 prefix of durations
-- Returns  {status, other}: "registered", "changed" or "unchanged" with "", or "conflict" with the id that owns the key.
-- @include time
-- @include ready
local tasks, definitions, owners, critical, due, ready = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local claims, ensure, again = KEYS[7], KEYS[8], KEYS[9]
local task_id, scoped_prefix = ARGV[1], ARGV[5]
local new = cjson.decode(ARGV[2])

local function leave_indexes(id, definition)
  if redis.call('HGET', owners, definition.cache_key) == id then
    redis.call('HDEL', owners, definition.cache_key)
  end
  redis.call('SREM', critical, id)
  if definition.fields ~= '' then redis.call('SREM', scoped_prefix .. definition.fields, id) end
end

local function unschedule(id)
  redis.call('ZREM', due, id)
  redis.call('ZREM', ready, id)
  redis.call('SREM', ensure, id)
end

redis.call('SET', KEYS[10], ARGV[4], 'NX')
local stored = redis.call('HGET', definitions, task_id)
if stored == ARGV[2] then return {'unchanged', ''} end

local owner = redis.call('HGET', owners, new.cache_key)
if new.enabled and owner and owner ~= task_id then
  if ARGV[3] ~= '1' then return {'conflict', owner} end
  leave_indexes(owner, cjson.decode(redis.call('HGET', definitions, owner)))
  unschedule(owner)
  redis.call('ZREM', tasks, owner)
  redis.call('HDEL', definitions, owner)
  redis.call('DEL', ARGV[6] .. owner, ARGV[7] .. owner)
end

if stored then leave_indexes(task_id, cjson.decode(stored)) end
redis.call('HSET', definitions, task_id, ARGV[2])

if not new.enabled then
  unschedule(task_id)
  redis.call('ZREM', tasks, task_id)
  return {stored and 'changed' or 'registered', ''}
end

redis.call('ZADD', tasks, new.priority, task_id)
redis.call('HSET', owners, new.cache_key, task_id)
if new.fields ~= '' then
  redis.call('SADD', scoped_prefix .. new.fields, task_id)
  return {stored and 'changed' or 'registered', ''}
end

if new.critical then redis.call('SADD', critical, task_id) end
if redis.call('ZSCORE', claims, task_id) then
  if stored then redis.call('SADD', again, task_id) end
else
  -- A task that is new here may already have a fresh value; a changed one needs a new one.
  if stored then redis.call('SREM', ensure, task_id) else redis.call('SADD', ensure, task_id) end
  redis.call('ZREM', ready, task_id)
  local switch = redis.call('GET', KEYS[11])
  if switch and cjson.decode(switch).on then
    make_ready(ready, due, tasks, task_id, now_ms())
  else
    redis.call('ZADD', due, now_ms(), task_id)
  end
end
return {stored and 'changed' or 'registered', ''}
