-- Forgets a task: nothing of it is scheduled any more. Cached values stay until they expire.
-- A claim that runs is ended by its worker; targets with arguments in due or ready are dropped when their turn comes.
--
-- @keys critical definitions due heat lanes owners reviews scoped tasks
-- @args task_id
-- Returns  1 if the task was registered, else 0.
-- @include accounts flags lanes quarantine
local stored = redis.call('HGET', definitions, task_id)
if not stored then return 0 end
local definition = cjson.decode(stored)
if redis.call('HGET', owners, definition.key_shape) == task_id then
  redis.call('HDEL', owners, definition.key_shape)
end
if definition.fields ~= '' then redis.call('SREM', scoped .. definition.fields, task_id) end
redis.call('ZREM', tasks, task_id)
redis.call('HDEL', definitions, task_id)
redis.call('HDEL', lanes, task_id)
release_quarantined(task_id)
for _, sorted_set in ipairs({due, reviews, heat}) do redis.call('ZREM', sorted_set, task_id) end
leave_lane(task_id)
redis.call('SREM', critical, task_id)
forget(task_id)
forget_figures(task_id)
return 1
