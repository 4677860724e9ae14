-- Registers a task, or takes over its changed definition; registering the same again changes nothing.
--
-- @keys tasks definitions owners critical due ready claims ensure forced again requested failures epoch switch
-- @prefixes scoped stats task_durations watchers outcomes
-- @args task_id definition replace random_epoch
-- definition: JSON with key_shape, fields, enabled, critical, priority
-- replace: "1" to unregister another enabled task that owns the cache key, else "0"
-- random_epoch: used if there is none
-- Returns  {status, other, epoch}: "registered" or "changed" and the id that was replaced or "", "unchanged" and "", or
--          "conflict" and the id that owns the key; and the epoch
-- @include time
-- @include ready
-- @include flags
local new = cjson.decode(definition)

local function leave_indexes(id, old)
  if redis.call('HGET', owners, old.key_shape) == id then redis.call('HDEL', owners, old.key_shape) end
  redis.call('SREM', critical, id)
  if old.fields ~= '' then redis.call('SREM', scoped .. old.fields, id) end
end

local function unschedule(id)
  redis.call('ZREM', due, id)
  redis.call('ZREM', ready, id)
  forget(id)
end

-- Targets with arguments that stand ready take over a new priority.
local function reorder()
  local standing = redis.call('ZRANGE', ready, 0, -1, 'WITHSCORES')
  for i = 1, #standing, 2 do
    if task_of(standing[i]) == task_id then
      redis.call('ZADD', ready, ready_score(new.priority, due_of(standing[i + 1])), standing[i])
    end
  end
end

redis.call('SET', epoch, random_epoch, 'NX')
local present_epoch = redis.call('GET', epoch)
local stored = redis.call('HGET', definitions, task_id)
if stored == definition then return {'unchanged', '', present_epoch} end

local owner, replaced = redis.call('HGET', owners, new.key_shape), ''
if new.enabled and owner and owner ~= task_id then
  replaced = owner
  if replace ~= '1' then return {'conflict', owner, present_epoch} end
  leave_indexes(owner, cjson.decode(redis.call('HGET', definitions, owner)))
  unschedule(owner)
  redis.call('ZREM', tasks, owner)
  redis.call('HDEL', definitions, owner)
  redis.call('DEL', stats .. owner, task_durations .. owner)
end

if stored then leave_indexes(task_id, cjson.decode(stored)) end
redis.call('HSET', definitions, task_id, definition)

if not new.enabled then
  unschedule(task_id)
  redis.call('ZREM', tasks, task_id)
  return {stored and 'changed' or 'registered', replaced, present_epoch}
end

redis.call('ZADD', tasks, new.priority, task_id)
redis.call('HSET', owners, new.key_shape, task_id)
if new.fields ~= '' then
  redis.call('SADD', scoped .. new.fields, task_id)
  unschedule(task_id)  -- it may have had a plain key before
  if stored and cjson.decode(stored).priority ~= new.priority then reorder() end
  return {stored and 'changed' or 'registered', replaced, present_epoch}
end

if new.critical then redis.call('SADD', critical, task_id) end
if redis.call('ZSCORE', claims, task_id) then
  if stored then redis.call('SADD', again, task_id) end
else
  -- A task that is new here may already have a fresh value; a changed one needs a new one.
  redis.call('SREM', stored and ensure or forced, task_id)
  redis.call('SADD', stored and forced or ensure, task_id)
  redis.call('ZREM', ready, task_id)
  local switch_json = redis.call('GET', switch)
  if switch_json and cjson.decode(switch_json).on then
    make_ready(ready, due, tasks, task_id, now_ms())
  else
    redis.call('ZADD', due, now_ms(), task_id)
  end
end
return {stored and 'changed' or 'registered', replaced, present_epoch}
