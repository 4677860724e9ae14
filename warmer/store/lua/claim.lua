-- Claims the best ready targets: highest priority first, then those due longest.
-- While warming is off, only what was asked for by hand. Targets of tasks that are gone are dropped.
--
-- @keys ready claims tokens tasks ensure forced again requested failures heat landmark switch totals definitions
-- @prefixes stats watchers outcomes
-- @args wanted:number timeout_ms:number token half_life_ms:number only
-- @rest unknown_ids
-- wanted: how many
-- token: owner token of the claims
-- only: JSON list of the refs that may be claimed, or "" for all
-- unknown_ids: tasks that the caller does not know, left to others
-- Returns  {now in ms, switch or "", queue wait to expect in ms, claims}, each claim
--          {ref, due in ms, 1 if a fresh value will do, failures in a row, heat, 95th percentile of compute ms or "",
--           definition}
-- @include time
-- @include ready
-- @include heat
-- @include flags
local PAGE, LONGEST_WAIT_MS = 100, 30000
local unknown = {}
for _, task_id in ipairs(unknown_ids) do unknown[task_id] = true end

local now = now_ms()
local switch_json = redis.call('GET', switch) or ''
local on = switch_json ~= '' and cjson.decode(switch_json).on
local landmark_ms = tonumber(redis.call('GET', landmark) or now)
local longest_ms = 0

local allowed
if only ~= '' then
  allowed = {}
  for _, ref in ipairs(cjson.decode(only)) do allowed[ref] = true end
end

local function is_ours(ref)
  return (not allowed or allowed[ref]) and not unknown[task_of(ref)] and (on or redis.call('SISMEMBER', requested, ref) == 1)
end

local function claim(ref, due_ms)
  redis.call('ZREM', ready, ref)
  if redis.call('SREM', again, ref) == 1 then  -- asked for while a claim ran that never ended: this one is it
    redis.call('SREM', ensure, ref)
    redis.call('SADD', forced, ref)
  end
  redis.call('ZADD', claims, now + timeout_ms, ref)
  redis.call('HSET', tokens, ref, token .. '|' .. string.format('%.0f', due_ms))
  longest_ms = math.max(longest_ms, math.min(now - due_ms, LONGEST_WAIT_MS))
  local reads = decayed(redis.call('ZSCORE', heat, ref) or 0, landmark_ms, now, half_life_ms)
  return {
    ref, due_ms, redis.call('SISMEMBER', ensure, ref), tonumber(redis.call('HGET', failures, ref) or 0),
    string.format('%.9g', reads), redis.call('HGET', stats .. task_of(ref), 'p95_ms') or '',
    redis.call('HGET', definitions, task_of(ref)),
  }
end

local claimed, offset = {}, 0
while #claimed < wanted do
  local page = redis.call('ZRANGE', ready, offset, offset + PAGE - 1, 'WITHSCORES')
  if #page == 0 then break end
  for i = 1, #page, 2 do
    local ref = page[i]
    if #claimed == wanted then break end
    if not redis.call('ZSCORE', tasks, task_of(ref)) then
      redis.call('ZREM', ready, ref)
      forget(ref)
    elseif is_ours(ref) then
      claimed[#claimed + 1] = claim(ref, due_of(page[i + 1]))
    else
      offset = offset + 1
    end
  end
end

-- The wait to expect: it follows a longer one at once, and a shorter one slowly, so that refreshes begin early enough.
local wait_ms = tonumber(redis.call('HGET', totals, 'wait_ms') or 0)
if #claimed > 0 then
  wait_ms = math.floor(math.max(longest_ms, 0.9 * wait_ms))
  redis.call('HSET', totals, 'wait_ms', wait_ms)
end
return {now, switch_json, wait_ms, claimed}
