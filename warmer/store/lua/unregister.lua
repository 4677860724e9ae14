-- Forgets a task: nothing of it is scheduled any more. Cached values stay until they expire.
-- Targets with arguments that still stand in due or ready are dropped when their turn comes.
--
-- @keys tasks definitions owners critical due ready claims tokens ensure forced again requested failures heat
-- @prefixes scoped stats task_durations
-- @args task_id
-- Returns  1 if the task was registered, else 0.
local stored = redis.call('HGET', definitions, task_id)
if not stored then return 0 end
local definition = cjson.decode(stored)
if redis.call('HGET', owners, definition.key_shape) == task_id then
  redis.call('HDEL', owners, definition.key_shape)
end
if definition.fields ~= '' then redis.call('SREM', scoped .. definition.fields, task_id) end
redis.call('ZREM', tasks, task_id)
redis.call('HDEL', definitions, task_id)
for _, sorted_set in ipairs({due, ready, claims, heat}) do redis.call('ZREM', sorted_set, task_id) end
for _, set in ipairs({critical, ensure, forced, again, requested}) do redis.call('SREM', set, task_id) end
for _, hash in ipairs({tokens, failures}) do redis.call('HDEL', hash, task_id) end
redis.call('DEL', stats .. task_id, task_durations .. task_id)
return 1
