-- Statistics: counters of the fleet and of each task, and the accounts that pay for refreshes. They are summed up here
-- and written once, at the end of a script.
--
-- @keys accounts policy_state stats task_durations totals
-- @const ACCOUNT_FIELDS
-- @include history task_spec tasks
local sums_of_fleet, sums_by_task, sums_of_accounts, mean_cost_by_task = {}, {}, {}, {}

local function add_to(sums, field, by)
  if by ~= 0 then sums[field] = (sums[field] or 0) + by end
end

-- Adds to a counter of the fleet, and of a task that is registered.
local function add(task_id, field, by)
  add_to(sums_of_fleet, field, by)
  if spec_of(task_id) then
    sums_by_task[task_id] = sums_by_task[task_id] or {}
    add_to(sums_by_task[task_id], field, by)
  end
end

-- Adds to the account that pays for a task: its own, or the fleet's; nobody pays for a task that is always kept warm.
local function charge(task_id, field, by)
  local spec = spec_of(task_id)
  if not spec or spec.account == 'n' then return end
  add_to(sums_of_accounts, (spec.account == 't' and task_id or '') .. '|' .. field, by)
end

local function add_and_charge(task_id, field, by)
  add(task_id, field, by)
  charge(task_id, field, by)
end

local function write_sums_to(key, sums)
  for field, by in pairs(sums) do
    if string.sub(field, -3) == '_ms' then redis.call('HINCRBYFLOAT', key, field, string.format('%.6f', by))
    else redis.call('HINCRBY', key, field, string.format('%.0f', by)) end
  end
end

local function write_statistics()
  write_sums_to(totals, sums_of_fleet)
  write_sums_to(accounts, sums_of_accounts)
  for task_id, sums in pairs(sums_by_task) do write_sums_to(stats .. task_id, sums) end
end

local function mean_cost_ms(task_id)
  if not mean_cost_by_task[task_id] then
    local known = redis.call('HMGET', stats .. task_id, 'total_ms', 'miss_ms', 'warmings', 'computed_misses')
    local computed = tonumber(known[3] or 0) + tonumber(known[4] or 0)
    local spent_ms = tonumber(known[1] or 0) + tonumber(known[2] or 0)
    mean_cost_by_task[task_id] = computed > 0 and spent_ms / computed or 0
  end
  return mean_cost_by_task[task_id]
end

-- Returns how long a computation of a target takes: as its latest one, or as those of its task on average.
local function cost_ms_of(h, ref)
  return h and h.cost > 0 and 1000 * seconds_of(h.cost) or mean_cost_ms(task_of(ref))
end

-- Deletes the counters of a task that is gone, its account, and the threshold of its budget.
local function forget_statistics(task_id)
  redis.call('DEL', stats .. task_id, task_durations .. task_id)
  for _, field in ipairs(ACCOUNT_FIELDS) do redis.call('HDEL', accounts, task_id .. '|' .. field) end
  redis.call('HDEL', policy_state, 'threshold:' .. task_id)
end
