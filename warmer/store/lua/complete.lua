-- Ends a refresh: drops the claim, writes its statistics, plans the next one, tells those who wait.
--
-- A worker names its claim's token; if another holds the claim by now, nothing is changed. A reader that computed a
-- miss has no claim (token ""): then a target that somebody has claimed keeps its place, and any other is planned.
--
-- KEYS  1 claims  2 tokens  3 due  4 ready  5 ensure  6 again  7 requested  8 failures  9 tasks  10 totals
--       11 durations  12 verdicts
-- ARGV  1 ref  2 token or ""  3 "published", "fresh", "failed", "busy" or "lost"  4 "warm" or "miss"
--       5 "at", "in" or "never"  6 that many ms (since the epoch, or from now)  7 compute time in ms  8 error or ""
--       9 verdict "computed_at:ref" or ""  10 when it counts as wasted, in ms
--       11 prefix of stats  12 prefix of task durations  13 prefix of watchers  14 prefix of outcomes
--       15 outcome as JSON, for those who wait
-- Returns  1, or 0 if the claim was no longer held with this token.
-- @include time
-- @include ready
local claims, tokens, due, ready, ensure = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local again, requested, failures, tasks, totals = KEYS[6], KEYS[7], KEYS[8], KEYS[9], KEYS[10]
local ref, token, result, origin = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local duration_ms, task_id, now = tonumber(ARGV[7]), task_of(ARGV[1]), now_ms()
local FLEET_WINDOW, TASK_WINDOW, OUTCOME_S = 1000, 32, 300

if token ~= '' then
  local owner = string.match(redis.call('HGET', tokens, ref) or '', '^([^|]*)|')
  if owner ~= token then return 0 end
  redis.call('ZREM', claims, ref)
  redis.call('HDEL', tokens, ref)
end
local registered = redis.call('ZSCORE', tasks, task_id)

-- statistics -------------------------------------------------------------------------------------------------
local stats = ARGV[11] .. task_id
local function count(field)
  redis.call('HINCRBY', totals, field, 1)
  if registered then redis.call('HINCRBY', stats, field, 1) end
end

local function remember_duration()
  if not registered then return end
  local window = ARGV[12] .. task_id
  redis.call('LPUSH', window, ARGV[7])
  redis.call('LTRIM', window, 0, TASK_WINDOW - 1)
  local recent = redis.call('LRANGE', window, 0, -1)
  for i = 1, #recent do recent[i] = tonumber(recent[i]) end
  table.sort(recent)
  redis.call('HSET', stats, 'p95_ms', tostring(recent[math.ceil(0.95 * #recent)]))
end

local function measure(key)
  redis.call('HINCRBYFLOAT', key, 'total_ms', ARGV[7])
  local fastest, slowest = redis.call('HGET', key, 'fastest_ms'), redis.call('HGET', key, 'slowest_ms')
  if not fastest or duration_ms < tonumber(fastest) then redis.call('HSET', key, 'fastest_ms', ARGV[7]) end
  if not slowest or duration_ms > tonumber(slowest) then redis.call('HSET', key, 'slowest_ms', ARGV[7]) end
end

if result == 'published' then
  redis.call('HDEL', failures, ref)
  remember_duration()
  if origin == 'warm' then
    count('warmings')
    measure(totals)
    redis.call('LPUSH', KEYS[11], ARGV[7])
    redis.call('LTRIM', KEYS[11], 0, FLEET_WINDOW - 1)
    if registered then
      measure(stats)
      redis.call('HSET', stats, 'last_run_ms', now)
      redis.call('HDEL', stats, 'last_error')
    end
  else
    count('computed_misses')
  end
  if ARGV[9] ~= '' then redis.call('ZADD', KEYS[12], ARGV[10], ARGV[9]) end
elseif result == 'fresh' then
  redis.call('HDEL', failures, ref)
elseif result == 'failed' then
  count('failed')
  if registered then
    redis.call('HINCRBY', failures, ref, 1)
    redis.call('HSET', stats, 'last_error', ARGV[8], 'last_run_ms', now)
  end
elseif result == 'lost' then
  count('lost_leases')
end

-- those who wait ---------------------------------------------------------------------------------------------
local final = result ~= 'busy' and result ~= 'lost'
if final then
  for _, watcher in ipairs(redis.call('SMEMBERS', ARGV[13] .. ref)) do
    redis.call('RPUSH', ARGV[14] .. watcher, ARGV[15])
    redis.call('EXPIRE', ARGV[14] .. watcher, OUTCOME_S)
  end
  redis.call('DEL', ARGV[13] .. ref)
end

-- the next one -----------------------------------------------------------------------------------------------
if token == '' and redis.call('ZSCORE', claims, ref) then return 1 end
local asked_again = redis.call('SREM', again, ref) == 1
if not registered then
  for _, set in ipairs({ensure, requested}) do redis.call('SREM', set, ref) end
  redis.call('ZREM', due, ref)
  redis.call('ZREM', ready, ref)
  redis.call('HDEL', failures, ref)
  return 1
end
if asked_again then
  redis.call('SREM', ensure, ref)
  make_ready(ready, due, tasks, ref, now)
  return 1
end
redis.call('ZREM', ready, ref)
if result == 'busy' then
  redis.call('SADD', ensure, ref)
elseif result ~= 'lost' then
  redis.call('SREM', ensure, ref)
  redis.call('SREM', requested, ref)
end
if ARGV[5] == 'never' then
  redis.call('ZREM', due, ref)
else
  local at = tonumber(ARGV[6])
  if ARGV[5] == 'in' then at = at + now end
  redis.call('ZADD', due, at, ref)
end
return 1
