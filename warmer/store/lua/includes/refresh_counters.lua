-- Counters of computations and their results, and the windows of their latest durations.
--
-- @keys durations stats task_durations totals
-- @include chunks statistics task_spec
local count_refresh, write_refresh_counters
do  -- Lua allows 200 local variables; what is not named above is seen only here
  local FLEET_WINDOW, TASK_WINDOW = 1000, 32
  local extremes_of_fleet, durations_of_fleet, by_task = {}, {}, {}

  local function of_task(task_id)
    by_task[task_id] = by_task[task_id] or {durations_ms = {}}
    return by_task[task_id]
  end

  local function measure(extremes, duration_ms)
    extremes.fastest_ms = math.min(extremes.fastest_ms or duration_ms, duration_ms)
    extremes.slowest_ms = math.max(extremes.slowest_ms or duration_ms, duration_ms)
  end

  -- The time of a computation is spent whatever its result. A computation that fails for a reader would also have
  -- failed with a plain ttl cache, the baseline.
  local function count_cost(task_id, result, origin, duration_ms)
    add_and_charge(task_id, origin == 'warm' and 'warm_ms' or 'miss_ms', duration_ms)
    if origin == 'warm' and duration_ms > 0 then charge(task_id, 'refreshes', 1) end
    if not spec_of(task_id) then
      add(task_id, 'untracked_ms', duration_ms)
    elseif origin == 'miss' and result ~= 'published' then
      add_and_charge(task_id, 'baseline_ms', duration_ms)
    end
  end

  local function count_published(task_id, origin, duration_ms)
    local is_registered = spec_of(task_id)
    if is_registered then table.insert(of_task(task_id).durations_ms, duration_ms) end
    if origin ~= 'warm' then return add(task_id, 'computed_misses', 1) end
    add(task_id, 'warmings', 1)
    add(task_id, 'total_ms', duration_ms)
    measure(extremes_of_fleet, duration_ms)
    table.insert(durations_of_fleet, duration_ms)
    if is_registered then
      measure(of_task(task_id), duration_ms)
      of_task(task_id).last_error = false
    end
  end

  function count_refresh(task_id, result, origin, duration_ms, why)
    count_cost(task_id, result, origin, duration_ms)
    if result == 'published' then
      count_published(task_id, origin, duration_ms)
    elseif result == 'failed' or result == 'crashed' then
      add(task_id, 'failed', 1)
      if result == 'crashed' then add(task_id, 'crashes', 1) end
      if spec_of(task_id) then of_task(task_id).last_error = why end
    elseif result == 'lost' then
      add(task_id, 'lost_leases', 1)
    end
  end

  local function push(list, values, window)
    if #values == 0 then return end
    call_with('LPUSH', list, values)
    redis.call('LTRIM', list, 0, window - 1)
  end

  local function write_extremes(key, extremes)
    if not extremes.fastest_ms then return end
    local known = redis.call('HMGET', key, 'fastest_ms', 'slowest_ms')
    redis.call('HSET', key, 'fastest_ms', math.min(tonumber(known[1] or extremes.fastest_ms), extremes.fastest_ms),
      'slowest_ms', math.max(tonumber(known[2] or extremes.slowest_ms), extremes.slowest_ms))
  end

  local function write_durations(task_id, durations_ms)
    if #durations_ms == 0 then return end
    local window = task_durations .. task_id
    push(window, durations_ms, TASK_WINDOW)
    local recent = redis.call('LRANGE', window, 0, -1)
    for i = 1, #recent do recent[i] = tonumber(recent[i]) end
    table.sort(recent)
    redis.call('HSET', stats .. task_id, 'p95_ms', tostring(recent[math.ceil(0.95 * #recent)]))
  end

  local function write_last_run(task_id, last_error, now)
    if last_error == nil then return end
    redis.call('HSET', stats .. task_id, 'last_run_ms', now)
    if last_error then redis.call('HSET', stats .. task_id, 'last_error', last_error)
    else redis.call('HDEL', stats .. task_id, 'last_error') end
  end

  function write_refresh_counters(now)
    write_extremes(totals, extremes_of_fleet)
    push(durations, durations_of_fleet, FLEET_WINDOW)
    for task_id, task in pairs(by_task) do
      write_extremes(stats .. task_id, task)
      write_durations(task_id, task.durations_ms)
      write_last_run(task_id, task.last_error, now)
    end
  end
end
