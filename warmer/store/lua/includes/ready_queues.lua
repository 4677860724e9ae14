-- Ready queues: each task has one for scheduled targets and one for targets requested on demand.
--
-- @keys due on_demand_queue queue_counters reviews scheduled_queue
-- @include fair_queue quarantine requests task_spec tasks
local function queue_of(task_id, is_on_demand)
  return (is_on_demand and on_demand_queue or scheduled_queue) .. task_id
end

local function count_on_demand(by)
  if by ~= 0 then redis.call('HINCRBY', queue_counters, 'on_demand', by) end
end

-- Makes a target ready; returns false when its task is gone, or it is in quarantine.
local function make_ready(ref, since, is_on_demand)
  redis.call('ZREM', due, ref)
  redis.call('ZREM', reviews, ref)
  local task_id = task_of(ref)
  local spec = spec_of(task_id)
  if not spec or is_quarantined(ref) then return false end
  local added = redis.call('ZADD', queue_of(task_id, is_on_demand), since, ref)
  if is_on_demand then count_on_demand(added) end
  enter_fair_queue(task_id, spec, is_on_demand, since)
  return true
end

-- Returns since when a target is ready, and whether it was requested on demand; nil when it is not ready.
local function ready_since(ref)
  local task_id = task_of(ref)
  local since = redis.call('ZSCORE', on_demand_queue .. task_id, ref)
  if since then return tonumber(since), true end
  since = redis.call('ZSCORE', scheduled_queue .. task_id, ref)
  if since then return tonumber(since), false end
  return nil
end

local function leave_queue(ref)
  local task_id = task_of(ref)
  redis.call('ZREM', scheduled_queue .. task_id, ref)
  count_on_demand(-redis.call('ZREM', on_demand_queue .. task_id, ref))
end

-- Makes due targets ready, the longest due first; returns how many were due, and how many of them are ready now.
local function move_due(now, limit)
  local found, moved = redis.call('ZRANGE', due, '-inf', now, 'BYSCORE', 'LIMIT', 0, limit, 'WITHSCORES'), 0
  for i = 1, #found, 2 do
    if make_ready(found[i], tonumber(found[i + 1]), false) then
      moved = moved + 1
    elseif not spec_of(task_of(found[i])) then
      forget(found[i])
    end
  end
  return #found / 2, moved
end
