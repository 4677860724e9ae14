-- The task that a target belongs to; "" for a key without a task.
local function task_of(ref)
  return string.match(ref, '^[^{]+') or ''
end
