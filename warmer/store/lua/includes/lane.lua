-- What is known of a task: what its targets need, for how long their values are fresh, and whose account pays for them.
--
-- @keys lanes
local lanes_known = {}

-- False once the task is gone or disabled.
local function lane_of(task_id)
  local lane = lanes_known[task_id]
  if lane == nil then
    local priority, importance, kind, batch_size, batch_wait_ms, ttl_ms, account, limit =
      string.match(redis.call('HGET', lanes, task_id) or '', '^(%-?%d+) (%a) (%a) (%d+) (%d+) (%d+) (%a) (.*)$')
    lane = priority and {
      priority = tonumber(priority), is_critical = importance == 'c', kind = kind, batch_size = tonumber(batch_size),
      batch_wait_ms = tonumber(batch_wait_ms), ttl_ms = tonumber(ttl_ms), account = account, limit = limit,
      needs = importance .. kind .. ':' .. limit,
    } or false
    lanes_known[task_id] = lane
  end
  return lane
end
