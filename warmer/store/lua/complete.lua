-- Ends a refresh: drops the claim, writes its statistics, plans the next one, tells those who wait.
--
-- A worker names its claim's token; if another holds the claim by now, nothing is changed. A reader that computed a
-- miss has no claim (token ""): it is counted, and the target keeps its place wherever it stands, unless it stands
-- ready and the reader's value is all that was asked for.
--
-- @keys claims tokens due ready ensure forced again requested failures tasks totals durations verdicts
-- @prefixes stats task_durations watchers outcomes
-- @args ref token result origin computed_at:number due_kind due_at:number duration_ms:number error verdict wasted_at_ms:number report
-- token: of the claim, or ""
-- result: "published", "fresh", "failed", "busy" or "lost"
-- origin: "warm" or "miss"
-- computed_at: of the value that is cached now, in ms; 0 if unknown
-- due_kind, due_at: "at" ms since the epoch, "in" ms from now, or "never"
-- verdict: "computed_at:ref", wasted from wasted_at_ms on unless a useful read comes before; or ""
-- report: the outcome as JSON, for those who wait
-- Returns  1, or 0 if the claim was no longer held with this token.
-- @include time
-- @include ready
-- @include flags
local task_id, now = task_of(ref) or '', now_ms()
local FLEET_WINDOW, TASK_WINDOW = 1000, 32

if token ~= '' then
  local owner = string.match(redis.call('HGET', tokens, ref) or '', '^([^|]*)|')
  if owner ~= token then return 0 end
  redis.call('ZREM', claims, ref)
  redis.call('HDEL', tokens, ref)
end
local registered = redis.call('ZSCORE', tasks, task_id)

-- statistics -------------------------------------------------------------------------------------------------
local task_stats = stats .. task_id
local function count(field)
  redis.call('HINCRBY', totals, field, 1)
  if registered then redis.call('HINCRBY', task_stats, field, 1) end
end

local function remember_duration()
  if not registered then return end
  local window = task_durations .. task_id
  redis.call('LPUSH', window, duration_ms)
  redis.call('LTRIM', window, 0, TASK_WINDOW - 1)
  local recent = redis.call('LRANGE', window, 0, -1)
  for i = 1, #recent do recent[i] = tonumber(recent[i]) end
  table.sort(recent)
  redis.call('HSET', task_stats, 'p95_ms', tostring(recent[math.ceil(0.95 * #recent)]))
end

local function measure(key)
  redis.call('HINCRBYFLOAT', key, 'total_ms', duration_ms)
  local fastest, slowest = redis.call('HGET', key, 'fastest_ms'), redis.call('HGET', key, 'slowest_ms')
  if not fastest or duration_ms < tonumber(fastest) then redis.call('HSET', key, 'fastest_ms', duration_ms) end
  if not slowest or duration_ms > tonumber(slowest) then redis.call('HSET', key, 'slowest_ms', duration_ms) end
end

if result == 'published' then
  redis.call('HDEL', failures, ref)
  remember_duration()
  if origin == 'warm' then
    count('warmings')
    measure(totals)
    redis.call('LPUSH', durations, duration_ms)
    redis.call('LTRIM', durations, 0, FLEET_WINDOW - 1)
    if registered then
      measure(task_stats)
      redis.call('HSET', task_stats, 'last_run_ms', now)
      redis.call('HDEL', task_stats, 'last_error')
    end
  else
    count('computed_misses')
  end
  if verdict ~= '' then redis.call('ZADD', verdicts, wasted_at_ms, verdict) end
elseif result == 'fresh' then
  redis.call('HDEL', failures, ref)
elseif result == 'failed' then
  count('failed')
  if registered then
    if token ~= '' then redis.call('HINCRBY', failures, ref, 1) end
    redis.call('HSET', task_stats, 'last_error', error, 'last_run_ms', now)
  end
elseif result == 'lost' then
  count('lost_leases')
end

-- the next one -----------------------------------------------------------------------------------------------
if not registered then
  tell_those_who_wait(ref, report)
  forget(ref)
  redis.call('ZREM', due, ref)
  redis.call('ZREM', ready, ref)
  return 1
end

local has_value = result == 'published' or result == 'fresh'
if token == '' then
  if redis.call('ZSCORE', claims, ref) then return 1 end
  local standing = redis.call('ZSCORE', ready, ref)
  local will_do = standing and has_value
    and (computed_at > due_of(standing) or redis.call('SISMEMBER', ensure, ref) == 1)
  if standing and not will_do then return 1 end
  if not standing and redis.call('SISMEMBER', forced, ref) == 1 then return 1 end
  if not has_value and redis.call('ZSCORE', due, ref) then return 1 end
elseif redis.call('SREM', again, ref) == 1 then
  -- Asked for since this claim: those who wait are told of the computation that is still to come.
  redis.call('SREM', ensure, ref)
  redis.call('SADD', forced, ref)
  make_ready(ready, due, tasks, ref, now)
  return 1
end

redis.call('ZREM', ready, ref)
if result == 'busy' then
  if redis.call('SISMEMBER', forced, ref) == 0 then redis.call('SADD', ensure, ref) end
elseif result ~= 'lost' then
  tell_those_who_wait(ref, report)
  clear_requests(ref)
end
if due_kind == 'never' then
  redis.call('HDEL', failures, ref)
  redis.call('ZREM', due, ref)
else
  redis.call('ZADD', due, due_kind == 'in' and now + due_at or due_at, ref)
end
return 1
