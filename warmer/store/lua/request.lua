-- Requests that targets are warmed now, whether warming is on or off. A target that is claimed already is not computed
-- twice at once: its outcome will do, unless a new computation is forced; then it is refreshed once more afterwards.
--
-- @keys claim_records claims definitions due fresh_ok must_recompute queue_counters rerun reviews watchers
-- @settings backlog_capacity
-- @args mode watcher watch_s
-- @rest refs
-- mode: "force" for a new computation, "ensure" if a fresh value will do
-- watcher: id under which outcomes will be asked for during watch_s seconds, or ""
-- Returns  for each ref "asked", "disabled", "unknown", "quarantined" or "full"
-- @include quarantine ready_queues requests task_spec tasks time
local is_forced, now, answers = mode == 'force', now_ms(), {}
local room = backlog_capacity - tonumber(redis.call('HGET', queue_counters, 'on_demand') or 0)

-- Remembers who wants the target, so that a request that is withdrawn later takes nothing from others.
local function watch(ref, is_on_demand, is_ready, is_due, is_reviewed)
  local is_watched = redis.call('EXISTS', watchers .. ref) == 1
  if is_ready or is_due then
    local needs_new = redis.call('SISMEMBER', must_recompute, ref) == 1
      or (is_ready and redis.call('SISMEMBER', fresh_ok, ref) == 0)
    redis.call('SADD', watchers .. ref, needs_new and ITS_RENEWAL or ITS_SCHEDULE)
  elseif is_reviewed then
    redis.call('SADD', watchers .. ref, ITS_REVIEW)
  end
  if (watcher == '' and is_watched) or (watcher ~= '' and is_on_demand and not is_watched) then
    redis.call('SADD', watchers .. ref, SOMEBODY)
  end
  if watcher == '' then return end
  redis.call('SADD', watchers .. ref, watcher)
  redis.call('EXPIRE', watchers .. ref, watch_s, 'NX')
  redis.call('EXPIRE', watchers .. ref, watch_s, 'GT')
end

-- A fresh value will do for the request, but perhaps not for the schedule, whose need stays.
local function keep_need_of_schedule(ref)
  if redis.call('SREM', fresh_ok, ref) == 0 then redis.call('SADD', must_recompute, ref) end
end

-- The worker that has claimed the target will report the outcome.
local function request_claimed(ref)
  local before, flag, after = string.match(redis.call('HGET', claim_records, ref) or '', '^([^|]*|%-?%d+|)(%a)(|.*)$')
  if flag == 's' then
    redis.call('HSET', claim_records, ref, before .. 'a' .. after)
    keep_need_of_schedule(ref)
  end
  if is_forced then redis.call('SADD', rerun, ref) end
end

local function request(ref, since, is_on_demand)
  if is_forced then
    redis.call('SREM', fresh_ok, ref)
    redis.call('SADD', must_recompute, ref)
  elseif since and not is_on_demand then
    keep_need_of_schedule(ref)
  end
  if is_on_demand then
    if is_forced then make_ready(ref, now, true) end
    return
  end
  leave_queue(ref)
  make_ready(ref, is_forced and now or since or now, true)
  room = room - 1
end

local function accept(ref)
  local task_id = task_of(ref)
  if not spec_of(task_id) then
    return redis.call('HEXISTS', definitions, task_id) == 1 and 'disabled' or 'unknown'
  end
  if is_quarantined(ref) then return 'quarantined' end
  if redis.call('ZSCORE', claims, ref) then
    watch(ref, false, false, false, false)
    request_claimed(ref)
    return 'asked'
  end
  local since, is_on_demand = ready_since(ref)
  if room <= 0 and not is_on_demand then return 'full' end
  if watcher ~= '' or is_on_demand then
    watch(ref, is_on_demand, since and not is_on_demand, redis.call('ZSCORE', due, ref), redis.call('ZSCORE', reviews, ref))
  end
  request(ref, since, is_on_demand)
  return 'asked'
end

for i, ref in ipairs(refs) do answers[i] = accept(ref) end
return answers
