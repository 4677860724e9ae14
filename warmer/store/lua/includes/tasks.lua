-- Returns the task of a target; "" for a key without a task.
local function task_of(ref)
  return string.match(ref, '^[^{]+') or ''
end
