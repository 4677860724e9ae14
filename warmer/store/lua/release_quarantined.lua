-- Releases a task, with all its targets, or one target from quarantine; each is due at once.
--
-- @keys definitions due
-- @args name
-- name: a task's id, or a target's ref
-- Returns  the refs and ids that were quarantined.
-- @include quarantine task_spec tasks time
local released = release_quarantined(name)
for _, ref in ipairs(released) do
  local definition = redis.call('HGET', definitions, ref)
  local is_target = not definition or cjson.decode(definition).fields == ''  -- a template's id is no target
  if is_target and spec_of(task_of(ref)) and not is_quarantined(ref) then
    redis.call('ZADD', due, 'NX', now_ms(), ref)
  end
end
return released
