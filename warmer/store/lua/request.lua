-- Asks for targets to be warmed now, whether warming is on or off. One that is claimed already is not computed twice
-- at once: its outcome will do, unless a new computation is forced; then it is refreshed once more afterwards.
--
-- @keys ready due claims ensure forced again requested definitions tasks
-- @prefixes watchers
-- @args mode watcher watch_s
-- @rest refs
-- mode: "force" or "ensure"
-- watcher: id of the one who waits for watch_s seconds, or ""
-- Returns  for each ref "asked", "disabled" or "unknown".
-- @include time
-- @include ready
local force, now, answers = mode == 'force', now_ms(), {}

local function ask(ref)
  redis.call('SADD', requested, ref)
  if redis.call('ZSCORE', claims, ref) then
    if force then redis.call('SADD', again, ref) end
    return
  end
  local standing = redis.call('ZSCORE', ready, ref)
  if force then
    redis.call('SREM', ensure, ref)
    redis.call('SADD', forced, ref)
  elseif not standing and redis.call('SISMEMBER', forced, ref) == 0 then
    redis.call('SADD', ensure, ref)
  end
  if force or not standing then make_ready(ready, due, tasks, ref, now) end
end

for _, ref in ipairs(refs) do
  local definition = redis.call('HGET', definitions, task_of(ref))
  if not definition then
    answers[#answers + 1] = 'unknown'
  elseif not cjson.decode(definition).enabled then
    answers[#answers + 1] = 'disabled'
  else
    if watcher ~= '' then
      redis.call('SADD', watchers .. ref, watcher)
      redis.call('EXPIRE', watchers .. ref, watch_s, 'NX')
      redis.call('EXPIRE', watchers .. ref, watch_s, 'GT')
    end
    ask(ref)
    answers[#answers + 1] = 'asked'
  end
end
return answers
