-- Ends refreshes: drops their claims, remembers what was published, writes the statistics, plans the next ones, tells
-- those who wait.
--
-- A worker names its claim's token; if another holds the claim by now, nothing is changed. A reader that computed a
-- miss has no claim (token ""): it is counted, and the target keeps its place wherever it stands, unless it stands
-- ready and the reader's value is all that was asked for. No target stands twice among the outcomes.
--
-- @keys again claims due durations ensure failures forced reviews stats suspects switch task_durations tokens totals
-- @keys verdicts
-- @settings history_capacity
-- @const EPOCH_MS MAX_QUEUE_WAIT_MS REVIEWS_MARGIN
-- @args done
-- done: JSON list of [ref, token, result, origin, computed_at, due_kind, due_at, duration_ms, error, verdict,
--       wasted_at_ms, fresh_until]
--   token: of the claim, or ""
--   result: "published", "fresh", "failed", "crashed" (it killed its process), "busy" or "lost"
--   origin: "warm" or "miss"
--   computed_at: of the value that is cached now, in ms; 0 if unknown
--   due_kind, due_at: "at" ms since the epoch, "in" ms from now, or "never"; "review" ms since the epoch or
--     "review_in" ms from now, when it is to be decided whether it is refreshed
--   verdict: "computed_at:ref", wasted from wasted_at_ms on unless a useful read comes before; or ""
--   fresh_until: of the value that is cached now, in ms; 0 if unknown
-- Returns  {refs whose claim was no longer held with this token, refs and tasks that are quarantined from now on}
-- @include claims flags history lane lanes parts quarantine sums tasks time
local FLEET_WINDOW, TASK_WINDOW = 1000, 32
local now, lost, dead = now_ms(), {}, {}
local outcomes_done = cjson.decode(done)

-- statistics -------------------------------------------------------------------------------------------------
local fleet, by_task, fleet_durations = {}, {}, {}

local function of_task(task_id)
  by_task[task_id] = by_task[task_id] or {durations = {}}
  return by_task[task_id]
end

local function measure(extremes, duration_ms)
  extremes.fastest_ms = math.min(extremes.fastest_ms or duration_ms, duration_ms)
  extremes.slowest_ms = math.max(extremes.slowest_ms or duration_ms, duration_ms)
end

-- What a computation has taken was spent, whatever came of it; one that fails for a reader fails for a plain cache too.
local function count_costs(task_id, result, origin, duration_ms)
  add_and_charge(task_id, origin == 'warm' and 'warm_ms' or 'miss_ms', duration_ms)
  if origin == 'warm' and duration_ms > 0 then charge(task_id, 'refreshes', 1) end
  if not lane_of(task_id) then
    add(task_id, 'taskless_ms', duration_ms)
  elseif origin == 'miss' and result ~= 'published' then
    add_and_charge(task_id, 'shadow_ms', duration_ms)
  end
end

local function take_note(task_id, result, origin, duration_ms, why)
  count_costs(task_id, result, origin, duration_ms)
  if result == 'published' then
    local registered = lane_of(task_id)
    if registered then table.insert(of_task(task_id).durations, duration_ms) end
    if origin == 'warm' then
      add(task_id, 'warmings', 1)
      add(task_id, 'total_ms', duration_ms)
      measure(fleet, duration_ms)
      fleet_durations[#fleet_durations + 1] = duration_ms
      if registered then
        measure(of_task(task_id), duration_ms)
        of_task(task_id).last_error = false
      end
    else
      add(task_id, 'computed_misses', 1)
    end
  elseif result == 'failed' or result == 'crashed' then
    add(task_id, 'failed', 1)
    if result == 'crashed' then add(task_id, 'crashes', 1) end
    if lane_of(task_id) then of_task(task_id).last_error = why end
  elseif result == 'lost' then
    add(task_id, 'lost_leases', 1)
  end
end

-- Since when a target is ready or claimed by schedule; nil if it is not.
local function refresh_due_since(ref)
  local _, since, is_asked = claim_of(redis.call('HGET', tokens, ref) or '')
  if not since then since, is_asked = standing_of(ref) end
  return not is_asked and since or nil
end

-- A refresh that was due while the value before was fresh came too late if it is published when that has expired, or if
-- a reader is there before it. Shadow misses that came before the first value are paid for now that its cost is known.
local function remember_publication(ref, origin, since, duration_ms, fresh_until)
  local h, place = history_of(ref)
  if not h then return end  -- nobody has read it yet
  local task_id, expired = task_of(ref), h.fresh_until + EPOCH_MS
  if h.fresh_until > 0 and expired < now then
    if origin == 'miss' then since = refresh_due_since(ref) end
    if since and since < expired then add(task_id, 'late', 1) end
  end
  if h.cost == 0 and h.shadow_until > 0 and lane_of(task_id) then add_and_charge(task_id, 'shadow_ms', duration_ms) end
  take_publication(h, math.max(0, fresh_until - EPOCH_MS), duration_ms / 1000)
  keep_history(h, place, now - EPOCH_MS)
end

-- A fresh value was there already, perhaps one that nobody told of.
local function remember_freshness(ref, fresh_until)
  local h, place = history_of(ref)
  if not h or fresh_until - EPOCH_MS <= h.fresh_until then return end
  h.fresh_until = fresh_until - EPOCH_MS
  keep_history(h, place, now - EPOCH_MS)
end

local function push(list, values, most)
  if #values == 0 then return end
  call_with('LPUSH', list, values)
  redis.call('LTRIM', list, 0, most - 1)
end

local function write_extremes(key, extremes)
  if not extremes.fastest_ms then return end
  local known = redis.call('HMGET', key, 'fastest_ms', 'slowest_ms')
  redis.call('HSET', key, 'fastest_ms', math.min(tonumber(known[1] or extremes.fastest_ms), extremes.fastest_ms),
    'slowest_ms', math.max(tonumber(known[2] or extremes.slowest_ms), extremes.slowest_ms))
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
  write_all_sums()
  write_extremes(totals, fleet)
  push(durations, fleet_durations, FLEET_WINDOW)
  for task_id, task in pairs(by_task) do
    local key = stats .. task_id
    write_extremes(key, task)
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
local due_next, review_next, judged = {}, {}, {}
local some_reviewed = redis.call('ZCARD', reviews) > 0

local function plan(ref, due_kind, due_at)
  if due_kind == 'never' then
    if some_failed then redis.call('HDEL', failures, ref) end
    redis.call('ZREM', due, ref)
    redis.call('ZREM', reviews, ref)
    return
  end
  local is_reviewed = due_kind == 'review' or due_kind == 'review_in'
  local next_ones = is_reviewed and review_next or due_next
  table.insert(next_ones, (due_kind == 'in' or due_kind == 'review_in') and now + due_at or due_at)
  table.insert(next_ones, ref)
  if is_reviewed then redis.call('ZREM', due, ref) elseif some_reviewed then redis.call('ZREM', reviews, ref) end
end

-- Reviews stay within what can be remembered: those of targets that were forgotten go first, then the farthest.
local function bound_reviews()
  if redis.call('ZCARD', reviews) <= history_capacity then return end
  for _, ref in ipairs(redis.call('ZRANDMEMBER', reviews, math.min(200, #review_next))) do
    if not history_of(ref) then redis.call('ZREM', reviews, ref) end
  end
  redis.call('ZREMRANGEBYRANK', reviews, math.floor(REVIEWS_MARGIN * history_capacity), -1)
end

-- So do verdicts: of refreshes that nobody has used for long, those that would be judged last are not judged at all.
local function bound_verdicts()
  local overflow = redis.call('ZCARD', verdicts) - history_capacity
  if overflow > 0 then
    add('', 'unjudged', redis.call('ZREMRANGEBYRANK', verdicts, -overflow, -1))
  end
end

local function end_without_task(ref, result, duration_ms, why)
  tell_those_who_wait(ref, report_of(ref, result, duration_ms, why))
  forget(ref)
  redis.call('ZREM', due, ref)
  redis.call('ZREM', reviews, ref)
  leave_lane(ref)
end

local switch_json = redis.call('GET', switch)
local on = switch_json and cjson.decode(switch_json).on

-- A reader came before any worker, as it may each time: leads have to grow all the same. How much longer the target
-- would have waited is not known; twice as long is taken for it.
local function remember_wait(ref, since, computed_at)
  local waited_ms = math.min(2 * (computed_at - tonumber(since or computed_at)), MAX_QUEUE_WAIT_MS)
  if not on or waited_ms <= 0 then return end
  local key = stats .. task_of(ref)
  if waited_ms > tonumber(redis.call('HGET', key, 'wait_ms') or 0) then redis.call('HSET', key, 'wait_ms', waited_ms) end
end

-- A reader's value: says whether it is all that the target waits for.
local function reader_serves(ref, has_value, computed_at)
  if redis.call('ZSCORE', claims, ref) then return false end
  local since, is_asked = standing_of(ref)
  if not is_asked then remember_wait(ref, since or redis.call('ZSCORE', reviews, ref), computed_at) end
  if since then
    local fresh_will_do = redis.call('SISMEMBER', is_asked and forced or ensure, ref) == (is_asked and 0 or 1)
    return has_value and (computed_at > since or fresh_will_do), is_asked
  end
  if is_forced(ref) then return false end
  return has_value or not (redis.call('ZSCORE', due, ref) or redis.call('ZSCORE', reviews, ref)), false
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
local is_asked_by, since_by, text_of = {}, {}, {}
for i, outcome in ipairs(outcomes_done) do
  if outcome[2] ~= '' then
    local owner, since, is_asked = claim_of(claimed_by[i])
    if owner == outcome[2] then
      held[#held + 1] = outcome[1]
      text_of[outcome[1]] = claimed_by[i]
      is_asked_by[i], since_by[i] = is_asked, since
    else
      outcome.is_lost = true
      lost[#lost + 1] = outcome[1]
    end
  end
end
drop_claims(held, text_of)

for i, outcome in ipairs(outcomes_done) do
  if not outcome.is_lost then
    local ref, _, result, origin, _, due_kind, _, duration_ms, why, verdict, wasted_at_ms, fresh_until = unpack(outcome)
    take_note(task_of(ref), result, origin, duration_ms, why)
    if result == 'published' and verdict ~= '' then
      table.insert(judged, wasted_at_ms)
      table.insert(judged, verdict)
    end
    if result == 'published' and ref ~= '' then
      local is_asked = is_asked_by[i]
      remember_publication(ref, origin, not is_asked and since_by[i] or nil, duration_ms, fresh_until)
    elseif result == 'fresh' and ref ~= '' then
      remember_freshness(ref, fresh_until)
    end
    finish(outcome, is_asked_by[i])
  end
end
call_with('ZADD', due, due_next)
call_with('ZADD', reviews, review_next)
call_with('ZADD', verdicts, judged)
bound_reviews()
bound_verdicts()
keep_shelf()
write_statistics()
return {lost, dead}
