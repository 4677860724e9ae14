-- What is known of a task: what its targets need, for how long their values are fresh, and whose account pays for them.
-- Needs the key lanes.
local lanes_known = {}

-- False once the task is gone or disabled.
local function lane_of(task_id)
  local lane = lanes_known[task_id]
  if lane == nil then
    local priority, critical, kind, batch_size, batch_wait_ms, ttl_ms, account, limit =
      string.match(redis.call('HGET', lanes, task_id) or '', '^(%-?%d+) (%a) (%a) (%d+) (%d+) (%d+) (%a) (.*)$')
    lane = priority and {
      priority = tonumber(priority), is_critical = critical == 'c', kind = kind, batch_size = tonumber(batch_size),
      batch_wait_ms = tonumber(batch_wait_ms), ttl_ms = tonumber(ttl_ms), account = account, limit = limit,
      needs = critical .. kind .. ':' .. limit,
    } or false
    lanes_known[task_id] = lane
  end
  return lane
end
