-- Ends refreshes: drops their claims, writes their statistics, plans the next ones, tells those who wait.
--
-- A worker names its claim's token; if another holds the claim by now, nothing is changed. A reader that computed a
-- miss has no claim (token ""): it is counted, and the target keeps its place wherever it stands, unless it stands
-- ready and the reader's value is all that was asked for. No target stands twice among the outcomes.
--
-- @keys claims tokens due lanes rotas flow quarantine ensure forced again failures suspects totals durations verdicts
-- @keys limits buckets slots
-- @prefixes ready asked rota ages stats task_durations watchers outcomes holders guests
-- @args done
-- done: JSON list of [ref, token, result, origin, computed_at, due_kind, due_at, duration_ms, error, verdict,
--       wasted_at_ms]
--   token: of the claim, or ""
--   result: "published", "fresh", "failed", "crashed" (it killed its process), "busy" or "lost"
--   origin: "warm" or "miss"
--   computed_at: of the value that is cached now, in ms; 0 if unknown
--   due_kind, due_at: "at" ms since the epoch, "in" ms from now, or "never"
--   verdict: "computed_at:ref", wasted from wasted_at_ms on unless a useful read comes before; or ""
-- Returns  {refs whose claim was no longer held with this token, refs and tasks that are quarantined from now on}
-- @include time
-- @include tasks
-- @include flags
-- @include limits
-- @include parts
-- @include lanes
-- @include claims
-- @include quarantine
local FLEET_WINDOW, TASK_WINDOW = 1000, 32
local now, lost, dead = now_ms(), {}, {}
local outcomes_done = cjson.decode(done)

-- statistics -------------------------------------------------------------------------------------------------
local fleet, by_task, fleet_durations = {counts = {}}, {}, {}

local function of_task(task_id)
  by_task[task_id] = by_task[task_id] or {counts = {}, durations = {}}
  return by_task[task_id]
end

local function count(task_id, field)
  fleet.counts[field] = (fleet.counts[field] or 0) + 1
  if lane_of(task_id) then
    local task = of_task(task_id)
    task.counts[field] = (task.counts[field] or 0) + 1
  end
end

local function measure(sums, duration_ms)
  sums.total_ms = (sums.total_ms or 0) + duration_ms
  sums.fastest_ms = math.min(sums.fastest_ms or duration_ms, duration_ms)
  sums.slowest_ms = math.max(sums.slowest_ms or duration_ms, duration_ms)
end

local function take_note(task_id, result, origin, duration_ms, why)
  if result == 'published' then
    local registered = lane_of(task_id)
    if registered then table.insert(of_task(task_id).durations, duration_ms) end
    if origin == 'warm' then
      count(task_id, 'warmings')
      measure(fleet, duration_ms)
      fleet_durations[#fleet_durations + 1] = duration_ms
      if registered then
        measure(of_task(task_id), duration_ms)
        of_task(task_id).last_error = false
      end
    else
      count(task_id, 'computed_misses')
    end
  elseif result == 'failed' or result == 'crashed' then
    count(task_id, 'failed')
    if result == 'crashed' then count(task_id, 'crashes') end
    if lane_of(task_id) then of_task(task_id).last_error = why end
  elseif result == 'lost' then
    count(task_id, 'lost_leases')
  end
end

local function push(list, values, most)
  if #values == 0 then return end
  call_with('LPUSH', list, values)
  redis.call('LTRIM', list, 0, most - 1)
end

local function write_sums(key, sums)
  for field, by in pairs(sums.counts) do redis.call('HINCRBY', key, field, by) end
  if not sums.total_ms then return end
  redis.call('HINCRBYFLOAT', key, 'total_ms', sums.total_ms)
  local known = redis.call('HMGET', key, 'fastest_ms', 'slowest_ms')
  redis.call('HSET', key, 'fastest_ms', math.min(tonumber(known[1] or sums.fastest_ms), sums.fastest_ms),
    'slowest_ms', math.max(tonumber(known[2] or sums.slowest_ms), sums.slowest_ms))
end

local function remember_durations(task_id, task)
  if #task.durations == 0 then return end
  local window = task_durations .. task_id
  push(window, task.durations, TASK_WINDOW)
  local recent = redis.call('LRANGE', window, 0, -1)
  for i = 1, #recent do recent[i] = tonumber(recent[i]) end
  table.sort(recent)
  redis.call('HSET', stats .. task_id, 'p95_ms', tostring(recent[math.ceil(0.95 * #recent)]))
end

local function write_statistics()
  write_sums(totals, fleet)
  push(durations, fleet_durations, FLEET_WINDOW)
  for task_id, task in pairs(by_task) do
    local key = stats .. task_id
    write_sums(key, task)
    remember_durations(task_id, task)
    if task.last_error ~= nil then
      redis.call('HSET', key, 'last_run_ms', now)
      if task.last_error then redis.call('HSET', key, 'last_error', task.last_error)
      else redis.call('HDEL', key, 'last_error') end
    end
  end
end

-- flags ------------------------------------------------------------------------------------------------------
-- What nearly no target has is looked for only where any has it.
local function some(kind, key)
  return redis.call(kind, key) > 0
end
local some_again, some_ensured, some_forced = some('SCARD', again), some('SCARD', ensure), some('SCARD', forced)
local some_failed, some_suspected = some('HLEN', failures), some('HLEN', suspects)

local function clear_requests(ref)
  if some_ensured then redis.call('SREM', ensure, ref) end
  if some_forced then redis.call('SREM', forced, ref) end
end

local function is_forced(ref)
  return some_forced and redis.call('SISMEMBER', forced, ref) == 1
end

local function ensure_later(ref)
  if not is_forced(ref) then
    redis.call('SADD', ensure, ref)
    some_ensured = true
  end
end

-- the next one -----------------------------------------------------------------------------------------------
local due_next, judged = {}, {}

local function plan(ref, due_kind, due_at)
  if due_kind == 'never' then
    if some_failed then redis.call('HDEL', failures, ref) end
    redis.call('ZREM', due, ref)
  else
    table.insert(due_next, due_kind == 'in' and now + due_at or due_at)
    table.insert(due_next, ref)
  end
end

local function end_without_task(ref, result, duration_ms, why)
  tell_those_who_wait(ref, report_of(ref, result, duration_ms, why))
  forget(ref)
  redis.call('ZREM', due, ref)
  leave_lane(ref)
end

-- A reader's value: says whether it is all that the target waits for.
local function reader_serves(ref, has_value, computed_at)
  if redis.call('ZSCORE', claims, ref) then return false end
  local since, is_asked = standing_of(ref)
  if since then
    local fresh_will_do = redis.call('SISMEMBER', is_asked and forced or ensure, ref) == (is_asked and 0 or 1)
    return has_value and (computed_at > since or fresh_will_do), is_asked
  end
  if is_forced(ref) then return false end
  return has_value or not redis.call('ZSCORE', due, ref), false
end

local function count_failures(ref, result, token)
  if result == 'published' or result == 'fresh' then
    if some_failed then redis.call('HDEL', failures, ref) end
    if some_suspected and token ~= '' then redis.call('HDEL', suspects, ref) end
  elseif (result == 'failed' or result == 'crashed') and token ~= '' and lane_of(task_of(ref)) then
    redis.call('HINCRBY', failures, ref, 1)
    some_failed = true
  end
end

local function finish(outcome, is_asked)
  local ref, token, result, _, computed_at, due_kind, due_at, duration_ms, why = unpack(outcome)
  count_failures(ref, result, token)
  if not lane_of(task_of(ref)) then return end_without_task(ref, result, duration_ms, why) end
  if result == 'crashed' and suspect_exactly(ref, why, dead) then
    forget(ref, why)
    return
  end
  if result == 'crashed' then result = 'failed' end

  if token == '' then
    local serves
    serves, is_asked = reader_serves(ref, result == 'published' or result == 'fresh', computed_at)
    if not serves then return end
    leave_lane(ref)
  elseif some_again and redis.call('SREM', again, ref) == 1 then
    -- Asked for since this claim: those who wait are told of the computation that is still to come.
    redis.call('SREM', ensure, ref)
    redis.call('SADD', forced, ref)
    some_forced = true
    if not make_ready(ref, now, true) then forget(ref, IN_QUARANTINE) end
    return
  end

  if (result == 'busy' or result == 'lost') and is_asked then
    make_ready(ref, due_kind == 'in' and now + due_at or now, true)
  elseif result == 'busy' or result == 'lost' then
    if result == 'busy' then ensure_later(ref) end
    plan(ref, due_kind, due_at)
  else
    if is_asked then tell_those_who_wait(ref, report_of(ref, result, duration_ms, why)) end
    clear_requests(ref)
    plan(ref, due_kind, due_at)
  end
end

local refs, held = {}, {}
for i, outcome in ipairs(outcomes_done) do refs[i] = outcome[1] end
local claimed_by = answers_for('HMGET', tokens, refs)
local is_asked_by, text_of = {}, {}
for i, outcome in ipairs(outcomes_done) do
  if outcome[2] ~= '' then
    local owner, _, is_asked = claim_of(claimed_by[i])
    if owner == outcome[2] then
      held[#held + 1] = outcome[1]
      text_of[outcome[1]] = claimed_by[i]
      is_asked_by[i] = is_asked
    else
      outcome.is_lost = true
      lost[#lost + 1] = outcome[1]
    end
  end
end
drop_claims(held, text_of)

for i, outcome in ipairs(outcomes_done) do
  if not outcome.is_lost then
    local ref, _, result, origin, _, _, _, duration_ms, why, verdict, wasted_at_ms = unpack(outcome)
    take_note(task_of(ref), result, origin, duration_ms, why)
    if result == 'published' and verdict ~= '' then
      table.insert(judged, wasted_at_ms)
      table.insert(judged, verdict)
    end
    finish(outcome, is_asked_by[i])
  end
end
call_with('ZADD', due, due_next)
call_with('ZADD', verdicts, judged)
write_statistics()
return {lost, dead}
