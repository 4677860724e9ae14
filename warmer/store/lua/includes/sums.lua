-- What a script adds up for the statistics: for the fleet, by task, and for the accounts that pay for refreshes.
-- Written once, at its end.
--
-- @keys accounts stats totals
-- @include lane
local sums_of_fleet, sums_by_task, sums_of_accounts = {}, {}, {}

local function add_to(sums, field, by)
  if by ~= 0 then sums[field] = (sums[field] or 0) + by end
end

-- Adds to a counter of the fleet, and of a task that is registered.
local function add(task_id, field, by)
  add_to(sums_of_fleet, field, by)
  if lane_of(task_id) then
    sums_by_task[task_id] = sums_by_task[task_id] or {}
    add_to(sums_by_task[task_id], field, by)
  end
end

-- Adds to the account that pays for a task: its own, or the fleet's; for what is always kept warm nobody does.
local function charge(task_id, field, by)
  local lane = lane_of(task_id)
  if not lane or lane.account == 'n' then return end
  add_to(sums_of_accounts, (lane.account == 't' and task_id or '') .. '|' .. field, by)
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

local function write_all_sums()
  write_sums_to(totals, sums_of_fleet)
  write_sums_to(accounts, sums_of_accounts)
  for task_id, sums in pairs(sums_by_task) do write_sums_to(stats .. task_id, sums) end
end
