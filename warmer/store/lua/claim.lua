-- Claims the best ready targets: highest priority first, then those due longest.
-- While warming is off, only what was asked for by hand. Targets of tasks that are gone are dropped.
--
-- KEYS  1 ready  2 claims  3 tokens  4 tasks  5 ensure  6 requested  7 failures  8 heat  9 landmark  10 switch  11 totals
--       12 definitions
-- ARGV  1 how many  2 claim time-out in ms  3 owner token  4 prefix of stats  5 half-life of heat in ms
--       6... ids of tasks that the caller does not know, left to others
-- Returns  {now in ms, switch or "", mean queue wait in ms, claims}, each claim
--          {ref, due in ms, 1 if a fresh value will do, failures in a row, heat, 95th percentile of compute ms or "",
--           definition}
-- @include time
-- @include ready
-- @include heat
local ready, claims, tokens, tasks = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local wanted, timeout_ms, token, half_life_ms = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[5])
local PAGE, LONGEST_WAIT_MS = 100, 30000
local unknown = {}
for i = 6, #ARGV do unknown[ARGV[i]] = true end

local now = now_ms()
local switch = redis.call('GET', KEYS[10]) or ''
local on = switch ~= '' and cjson.decode(switch).on
local landmark_ms = tonumber(redis.call('GET', KEYS[9]) or now)
local wait_ms = tonumber(redis.call('HGET', KEYS[11], 'wait_ms') or 0)

local function is_ours(ref)
  return not unknown[task_of(ref)] and (on or redis.call('SISMEMBER', KEYS[6], ref) == 1)
end

local function claim(ref, due_ms)
  redis.call('ZREM', ready, ref)
  redis.call('ZADD', claims, now + timeout_ms, ref)
  redis.call('HSET', tokens, ref, token .. '|' .. string.format('%.0f', due_ms))
  wait_ms = 0.9 * wait_ms + 0.1 * math.max(0, math.min(now - due_ms, LONGEST_WAIT_MS))
  local heat = decayed(redis.call('ZSCORE', KEYS[8], ref) or 0, landmark_ms, now, half_life_ms)
  return {
    ref, due_ms, redis.call('SISMEMBER', KEYS[5], ref), tonumber(redis.call('HGET', KEYS[7], ref) or 0),
    string.format('%.9g', heat), redis.call('HGET', ARGV[4] .. task_of(ref), 'p95_ms') or '',
    redis.call('HGET', KEYS[12], task_of(ref)),
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
    elseif is_ours(ref) then
      claimed[#claimed + 1] = claim(ref, due_of(page[i + 1]))
    else
      offset = offset + 1
    end
  end
end
if #claimed > 0 then redis.call('HSET', KEYS[11], 'wait_ms', string.format('%.3f', wait_ms)) end
return {now, switch, string.format('%.3f', wait_ms), claimed}
