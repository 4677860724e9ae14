-- Registers a task, or takes over its changed definition; registering the same again changes nothing.
--
-- @keys again claims critical definitions due ensure epoch forced lanes owners reviews rotas scoped switch tasks
-- @args task_id definition lane replace random_epoch
-- definition: JSON with key_shape, fields, enabled, critical, priority
-- lane: what its targets need, for how long they are fresh and who pays for them; see `lane_text`
-- replace: "1" to unregister another enabled task that owns the cache key, else "0"
-- random_epoch: used if there is none
-- Returns  {status, other, epoch}: "registered" or "changed" and the id that was replaced or "", "unchanged" and "", or
--          "conflict" and the id that owns the key; and the epoch
-- @include accounts flags lane lanes quarantine time
local new = cjson.decode(definition)

local function leave_indexes(id, old)
  if redis.call('HGET', owners, old.key_shape) == id then redis.call('HDEL', owners, old.key_shape) end
  redis.call('SREM', critical, id)
  if old.fields ~= '' then redis.call('SREM', scoped .. old.fields, id) end
end

local function unschedule(id)
  redis.call('ZREM', due, id)
  redis.call('ZREM', reviews, id)
  leave_lane(id)
  forget(id)
end

-- What is ready of the task moves to where its lanes belong now.
local function set_lane()
  redis.call('HSET', lanes, task_id, lane)
  lanes_known[task_id] = nil
  for _, name in ipairs(redis.call('SMEMBERS', rotas)) do leave_rota(task_id, name) end
  for _, is_asked in ipairs({true, false}) do
    local first = redis.call('ZRANGE', members_of(task_id, is_asked), 0, 0, 'WITHSCORES')
    if first[2] then enter_rota(task_id, lane_of(task_id), is_asked, tonumber(first[2])) end
  end
end

redis.call('SET', epoch, random_epoch, 'NX')
local present_epoch = redis.call('GET', epoch)
local stored = redis.call('HGET', definitions, task_id)
if stored == definition then
  if new.enabled and redis.call('HGET', lanes, task_id) ~= lane then set_lane() end
  return {'unchanged', '', present_epoch}
end

local owner, replaced = redis.call('HGET', owners, new.key_shape), ''
if new.enabled and owner and owner ~= task_id then
  replaced = owner
  if replace ~= '1' then return {'conflict', owner, present_epoch} end
  leave_indexes(owner, cjson.decode(redis.call('HGET', definitions, owner)))
  unschedule(owner)
  redis.call('ZREM', tasks, owner)
  redis.call('HDEL', lanes, owner)
  release_quarantined(owner)
  redis.call('HDEL', definitions, owner)
  forget_figures(owner)
end

if stored then leave_indexes(task_id, cjson.decode(stored)) end
redis.call('HSET', definitions, task_id, definition)
release_quarantined(task_id)

if not new.enabled then
  unschedule(task_id)
  redis.call('ZREM', tasks, task_id)
  redis.call('HDEL', lanes, task_id)
  return {stored and 'changed' or 'registered', replaced, present_epoch}
end

redis.call('ZADD', tasks, new.priority, task_id)
set_lane()
redis.call('HSET', owners, new.key_shape, task_id)
if new.fields ~= '' then
  redis.call('SADD', scoped .. new.fields, task_id)
  unschedule(task_id)  -- it may have had a plain key before
  return {stored and 'changed' or 'registered', replaced, present_epoch}
end

if new.critical then redis.call('SADD', critical, task_id) end
if redis.call('ZSCORE', claims, task_id) then
  if stored then redis.call('SADD', again, task_id) end
else
  -- A task that is new here may already have a fresh value; a changed one needs a new one.
  redis.call('SREM', stored and ensure or forced, task_id)
  redis.call('SADD', stored and forced or ensure, task_id)
  local _, is_asked = standing_of(task_id)
  leave_lane(task_id)
  local switch_json = redis.call('GET', switch)
  if is_asked or (switch_json and cjson.decode(switch_json).on) then
    make_ready(task_id, now_ms(), is_asked)
  else
    redis.call('ZADD', due, now_ms(), task_id)
  end
end
return {stored and 'changed' or 'registered', replaced, present_epoch}
