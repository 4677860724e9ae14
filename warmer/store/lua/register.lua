-- Registers a task, or takes over its changed definition; registering the same again changes nothing.
--
-- @keys claims critical definitions due epoch fair_queues fresh_ok must_recompute owners rerun reviews switch
-- @keys task_specs tasks tasks_by_fields
-- @args task_id definition spec replace random_epoch
-- definition: JSON with key_shape, fields, enabled, critical, priority
-- spec: what the scripts need to know of it; see includes/task_spec.lua
-- replace: "1" to unregister another enabled task that owns the cache key, else "0"
-- random_epoch: used if there is none
-- Returns  {status, other, epoch}: "registered" or "changed" and the id that was replaced or "", "unchanged" and "", or
--          "conflict" and the id that owns the key; and the epoch
-- @include fair_queue quarantine ready_queues requests statistics task_spec time
local new = cjson.decode(definition)

local function leave_indexes(id, old)
  if redis.call('HGET', owners, old.key_shape) == id then redis.call('HDEL', owners, old.key_shape) end
  redis.call('SREM', critical, id)
  if old.fields ~= '' then redis.call('SREM', tasks_by_fields .. old.fields, id) end
end

local function unschedule(id)
  redis.call('ZREM', due, id)
  redis.call('ZREM', reviews, id)
  leave_queue(id)
  forget(id)
end

-- Ready targets of the task move to the fair queue of what they need now.
local function set_spec()
  redis.call('HSET', task_specs, task_id, spec)
  forget_spec(task_id)
  for _, name in ipairs(redis.call('SMEMBERS', fair_queues)) do leave_fair_queue(task_id, name) end
  for _, is_on_demand in ipairs({true, false}) do
    local first = redis.call('ZRANGE', queue_of(task_id, is_on_demand), 0, 0, 'WITHSCORES')
    if first[2] then enter_fair_queue(task_id, spec_of(task_id), is_on_demand, tonumber(first[2])) end
  end
end

redis.call('SET', epoch, random_epoch, 'NX')
local present_epoch = redis.call('GET', epoch)
local stored = redis.call('HGET', definitions, task_id)
if stored == definition then
  if new.enabled and redis.call('HGET', task_specs, task_id) ~= spec then set_spec() end
  return {'unchanged', '', present_epoch}
end

local owner, replaced = redis.call('HGET', owners, new.key_shape), ''
if new.enabled and owner and owner ~= task_id then
  replaced = owner
  if replace ~= '1' then return {'conflict', owner, present_epoch} end
  leave_indexes(owner, cjson.decode(redis.call('HGET', definitions, owner)))
  unschedule(owner)
  redis.call('ZREM', tasks, owner)
  redis.call('HDEL', task_specs, owner)
  release_quarantined(owner)
  redis.call('HDEL', definitions, owner)
  forget_statistics(owner)
end

if stored then leave_indexes(task_id, cjson.decode(stored)) end
redis.call('HSET', definitions, task_id, definition)
release_quarantined(task_id)

if not new.enabled then
  unschedule(task_id)
  redis.call('ZREM', tasks, task_id)
  redis.call('HDEL', task_specs, task_id)
  return {stored and 'changed' or 'registered', replaced, present_epoch}
end

redis.call('ZADD', tasks, new.priority, task_id)
set_spec()
redis.call('HSET', owners, new.key_shape, task_id)
if new.fields ~= '' then
  redis.call('SADD', tasks_by_fields .. new.fields, task_id)
  unschedule(task_id)  -- it may have had a plain key before
  return {stored and 'changed' or 'registered', replaced, present_epoch}
end

if new.critical then redis.call('SADD', critical, task_id) end
if redis.call('ZSCORE', claims, task_id) then
  if stored then redis.call('SADD', rerun, task_id) end
else
  -- A task that is new here may already have a fresh value; a changed one needs a new one.
  redis.call('SREM', stored and fresh_ok or must_recompute, task_id)
  redis.call('SADD', stored and must_recompute or fresh_ok, task_id)
  local _, is_on_demand = ready_since(task_id)
  leave_queue(task_id)
  local switch_json = redis.call('GET', switch)
  if is_on_demand or (switch_json and cjson.decode(switch_json).on) then
    make_ready(task_id, now_ms(), is_on_demand)
  else
    redis.call('ZADD', due, now_ms(), task_id)
  end
end
return {stored and 'changed' or 'registered', replaced, present_epoch}
