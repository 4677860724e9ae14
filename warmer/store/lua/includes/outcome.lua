-- The outcome of a refresh: failures in a row, reports to watchers, and the next place of the target.
--
-- @keys claims crash_suspects due failures fresh_ok must_recompute rerun reviews stats switch
-- @const MAX_QUEUE_WAIT_MS
-- @include next_due quarantine ready_queues requests task_spec tasks
local apply_outcome
do  -- Lua allows 200 local variables; what is not named above is seen only here
  local function has_any(count, key)
    return redis.call(count, key) > 0
  end
  -- Nearly no target is in these sets, so they are asked only where they have any.
  local some_rerun, some_fresh_ok = has_any('SCARD', rerun), has_any('SCARD', fresh_ok)
  local some_must_recompute = has_any('SCARD', must_recompute)
  local some_failed, some_are_suspects = has_any('HLEN', failures), has_any('HLEN', crash_suspects)

  local switch_json = redis.call('GET', switch)
  local on = switch_json and cjson.decode(switch_json).on

  local function clear_requests(ref)
    if some_fresh_ok then redis.call('SREM', fresh_ok, ref) end
    if some_must_recompute then redis.call('SREM', must_recompute, ref) end
  end

  local function needs_recompute(ref)
    return some_must_recompute and redis.call('SISMEMBER', must_recompute, ref) == 1
  end

  local function let_fresh_do(ref)
    if not needs_recompute(ref) then
      redis.call('SADD', fresh_ok, ref)
      some_fresh_ok = true
    end
  end

  local function plan(ref, due_kind, due_at, now)
    if due_kind == 'never' and some_failed then redis.call('HDEL', failures, ref) end
    plan_next(ref, due_kind, due_at, now)
  end

  local function end_without_task(ref, result, duration_ms, why)
    report_to_watchers(ref, result, duration_ms, why)
    forget(ref)
    redis.call('ZREM', due, ref)
    redis.call('ZREM', reviews, ref)
    leave_queue(ref)
  end

  -- A reader was faster than every worker, and may be each time, so leads have to grow all the same. How much longer the
  -- target would have waited is not known: twice as long is assumed.
  local function remember_queue_wait(ref, since, computed_at)
    local waited_ms = math.min(2 * (computed_at - tonumber(since or computed_at)), MAX_QUEUE_WAIT_MS)
    if not on or waited_ms <= 0 then return end
    local key = stats .. task_of(ref)
    if waited_ms > tonumber(redis.call('HGET', key, 'wait_ms') or 0) then redis.call('HSET', key, 'wait_ms', waited_ms) end
  end

  -- Returns whether a reader's value is all that the target waits for, and whether it was requested on demand.
  local function reader_serves(ref, has_value, computed_at)
    if redis.call('ZSCORE', claims, ref) then return false end
    local since, is_on_demand = ready_since(ref)
    if not is_on_demand then remember_queue_wait(ref, since or redis.call('ZSCORE', reviews, ref), computed_at) end
    if since then
      local fresh_will_do =
        redis.call('SISMEMBER', is_on_demand and must_recompute or fresh_ok, ref) == (is_on_demand and 0 or 1)
      return has_value and (computed_at > since or fresh_will_do), is_on_demand
    end
    if needs_recompute(ref) then return false end
    return has_value or not (redis.call('ZSCORE', due, ref) or redis.call('ZSCORE', reviews, ref)), false
  end

  local function count_failures(ref, result, token)
    if result == 'published' or result == 'fresh' then
      if some_failed then redis.call('HDEL', failures, ref) end
      if some_are_suspects and token ~= '' then redis.call('HDEL', crash_suspects, ref) end
    elseif (result == 'failed' or result == 'crashed') and token ~= '' and spec_of(task_of(ref)) then
      redis.call('HINCRBY', failures, ref, 1)
      some_failed = true
    end
  end

  -- Watchers of a target that was requested after it was claimed get the report of the computation that is still to come.
  local function run_again(ref, now)
    redis.call('SREM', fresh_ok, ref)
    redis.call('SADD', must_recompute, ref)
    some_must_recompute = true
    if not make_ready(ref, now, true) then forget(ref, IN_QUARANTINE) end
  end

  -- Applies one outcome, as `complete` lists it. Returns nothing; adds to newly_quarantined.
  function apply_outcome(outcome, is_on_demand, now, newly_quarantined)
    local ref, token, result, _, computed_at, due_kind, due_at, duration_ms, why = unpack(outcome)
    count_failures(ref, result, token)
    if not spec_of(task_of(ref)) then return end_without_task(ref, result, duration_ms, why) end
    if result == 'crashed' and blame(ref, why, newly_quarantined) then return forget(ref, why) end
    if result == 'crashed' then result = 'failed' end

    if token == '' then
      local serves
      serves, is_on_demand = reader_serves(ref, result == 'published' or result == 'fresh', computed_at)
      if not serves then return end
      leave_queue(ref)
    elseif some_rerun and redis.call('SREM', rerun, ref) == 1 then
      return run_again(ref, now)
    end

    if (result == 'busy' or result == 'lost') and is_on_demand then
      make_ready(ref, due_kind == 'in' and now + due_at or now, true)
    elseif result == 'busy' or result == 'lost' then
      if result == 'busy' then let_fresh_do(ref) end
      plan(ref, due_kind, due_at, now)
    else
      if is_on_demand then report_to_watchers(ref, result, duration_ms, why) end
      clear_requests(ref)
      plan(ref, due_kind, due_at, now)
    end
  end
end
