-- What a computation of a target takes, in ms: its latest one, or what those of its task take on average.
--
-- @keys stats
-- @include history tasks
local mean_cost_by_task = {}

local function mean_cost_ms(task_id)
  if not mean_cost_by_task[task_id] then
    local known = redis.call('HMGET', stats .. task_id, 'total_ms', 'miss_ms', 'warmings', 'computed_misses')
    local computed = tonumber(known[3] or 0) + tonumber(known[4] or 0)
    local spent_ms = tonumber(known[1] or 0) + tonumber(known[2] or 0)
    mean_cost_by_task[task_id] = computed > 0 and spent_ms / computed or 0
  end
  return mean_cost_by_task[task_id]
end

local function cost_ms_of(h, ref)
  return h and h.cost > 0 and 1000 * seconds_of(h.cost) or mean_cost_ms(task_of(ref))
end
