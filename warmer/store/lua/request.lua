-- Asks for targets to be warmed now, whether warming is on or off. One that is claimed already is not computed twice
-- at once: its outcome will do, unless a new computation is forced; then it is refreshed once more afterwards.
--
-- KEYS  1 ready  2 due  3 claims  4 ensure  5 again  6 requested  7 definitions  8 tasks
-- ARGV  1 "force" or "ensure"  2 watcher id or ""  3 prefix of watchers  4... refs
-- Returns  for each ref "asked", "disabled" or "unknown".
-- @include time
-- @include ready
local ready, due, claims, ensure, again, requested = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local force, now, answers, WATCH_S = ARGV[1] == 'force', now_ms(), {}, 300

local function ask(ref)
  if redis.call('ZSCORE', claims, ref) then
    if force then redis.call('SADD', again, ref) end
    return
  end
  local standing = redis.call('ZSCORE', ready, ref)
  if force then
    redis.call('SREM', ensure, ref)
  elseif not standing then
    redis.call('SADD', ensure, ref)
  end
  redis.call('SADD', requested, ref)
  if force or not standing then make_ready(ready, due, KEYS[8], ref, now) end
end

for i = 4, #ARGV do
  local ref = ARGV[i]
  local definition = redis.call('HGET', KEYS[7], task_of(ref))
  if not definition then
    answers[#answers + 1] = 'unknown'
  elseif not cjson.decode(definition).enabled then
    answers[#answers + 1] = 'disabled'
  else
    if ARGV[2] ~= '' then
      redis.call('SADD', ARGV[3] .. ref, ARGV[2])
      redis.call('EXPIRE', ARGV[3] .. ref, WATCH_S)
    end
    ask(ref)
    answers[#answers + 1] = 'asked'
  end
end
return answers
