-- The order of the ready set: strict by priority, then by how long a target has been due.
-- One score packs both exactly: |priority| <= 2^12 and 40 bits of milliseconds since 2020 fit a double's 53.
local SPAN_MS, START_MS = 1099511627776, 1577836800000

local function ready_score(priority, due_ms)
  return -tonumber(priority) * SPAN_MS + math.max(0, math.floor(due_ms) - START_MS)
end

local function due_of(score)
  return tonumber(score) % SPAN_MS + START_MS
end

local function task_of(ref)
  return string.match(ref, '^[^{]+')
end

-- Moves a target into the ready set; false when its task is not registered (any more).
local function make_ready(ready, due, tasks, ref, due_ms)
  local priority = redis.call('ZSCORE', tasks, task_of(ref))
  redis.call('ZREM', due, ref)
  if not priority then return false end
  redis.call('ZADD', ready, ready_score(priority, due_ms), ref)
  return true
end
