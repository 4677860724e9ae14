-- The spec of a task: what its targets need, for how long their values are fresh, and whose account pays for them.
-- `task_spec_text` in Python writes it.
--
-- @keys task_specs
local known_specs = {}

-- Returns false once the task is gone or disabled.
local function spec_of(task_id)
  local spec = known_specs[task_id]
  if spec == nil then
    local priority, importance, kind, batch_size, batch_wait_ms, ttl_ms, account, limit =
      string.match(redis.call('HGET', task_specs, task_id) or '', '^(%-?%d+) (%a) (%a) (%d+) (%d+) (%d+) (%a) (.*)$')
    spec = priority and {
      priority = tonumber(priority), is_critical = importance == 'c', kind = kind, batch_size = tonumber(batch_size),
      batch_wait_ms = tonumber(batch_wait_ms), ttl_ms = tonumber(ttl_ms), account = account, limit = limit,
      needs = importance .. kind .. ':' .. limit,
    } or false
    known_specs[task_id] = spec
  end
  return spec
end

-- To be called after the spec was written.
local function forget_spec(task_id)
  known_specs[task_id] = nil
end
