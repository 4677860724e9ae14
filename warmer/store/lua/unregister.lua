-- Unregisters a task: nothing of it is scheduled any more. Cached values stay until they expire. The worker of a running
-- claim ends it; due or ready targets with arguments are dropped when their turn comes.
--
-- @keys critical definitions due heat owners reviews task_specs tasks tasks_by_fields
-- @args task_id
-- Returns  1 if the task was registered, else 0.
-- @include quarantine ready_queues requests statistics
local stored = redis.call('HGET', definitions, task_id)
if not stored then return 0 end
local definition = cjson.decode(stored)
if redis.call('HGET', owners, definition.key_shape) == task_id then
  redis.call('HDEL', owners, definition.key_shape)
end
if definition.fields ~= '' then redis.call('SREM', tasks_by_fields .. definition.fields, task_id) end
redis.call('ZREM', tasks, task_id)
redis.call('HDEL', definitions, task_id)
redis.call('HDEL', task_specs, task_id)
release_quarantined(task_id)
for _, sorted_set in ipairs({due, reviews, heat}) do redis.call('ZREM', sorted_set, task_id) end
leave_queue(task_id)
redis.call('SREM', critical, task_id)
forget(task_id)
forget_statistics(task_id)
return 1
