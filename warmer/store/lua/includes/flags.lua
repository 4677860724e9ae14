-- What is remembered of a target besides where it stands: what was asked for, how often it failed, and who waits.
-- Needs the keys ensure, forced, again, requested and failures, and the prefixes watchers and outcomes.
local OUTCOME_S = 300

local function tell_those_who_wait(ref, report)
  for _, watcher in ipairs(redis.call('SMEMBERS', watchers .. ref)) do
    redis.call('RPUSH', outcomes .. watcher, report)
    redis.call('EXPIRE', outcomes .. watcher, OUTCOME_S)
  end
  redis.call('DEL', watchers .. ref)
end

-- What was asked for has been delivered.
local function clear_requests(ref)
  for _, set in ipairs({ensure, forced, requested}) do redis.call('SREM', set, ref) end
end

-- The target is gone, with its task or by the policy.
local function forget(ref)
  clear_requests(ref)
  redis.call('SREM', again, ref)
  redis.call('HDEL', failures, ref)
  local gone = {ref = ref, result = 'failed', duration_ms = 0, error = 'its task was unregistered, replaced or disabled'}
  tell_those_who_wait(ref, cjson.encode(gone))
end
