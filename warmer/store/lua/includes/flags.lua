-- What is remembered of a target besides where it stands: what has to be computed, how often it failed, who waits.
--
-- @keys again ensure failures forced outcomes suspects watchers
local OUTCOME_S = 300
local IN_QUARANTINE = 'it is in quarantine: it has killed the processes that computed it'

-- Besides those who wait, the set of watchers tells who else wants a target: somebody who does not wait, its schedule,
-- for which a fresh value would do, its schedule, which needs a new one, or its next review.
local SOMEBODY, ITS_SCHEDULE, ITS_RENEWAL, ITS_REVIEW = '!', '~', '^', '?'
local NO_WATCHER = {[SOMEBODY] = true, [ITS_SCHEDULE] = true, [ITS_RENEWAL] = true, [ITS_REVIEW] = true}

local function report_of(ref, result, duration_ms, why)
  return {ref = ref, result = result, duration_ms = duration_ms, error = why}
end

local function tell_those_who_wait(ref, report)
  local waiting = redis.call('SMEMBERS', watchers .. ref)
  if #waiting == 0 then return end
  local text = cjson.encode(report)
  for _, watcher in ipairs(waiting) do
    if not NO_WATCHER[watcher] then
      redis.call('RPUSH', outcomes .. watcher, text)
      redis.call('EXPIRE', outcomes .. watcher, OUTCOME_S)
    end
  end
  redis.call('DEL', watchers .. ref)
end

-- The target is gone, with its task or by the policy.
local function forget(ref, why)
  for _, set in ipairs({ensure, forced, again}) do redis.call('SREM', set, ref) end
  redis.call('HDEL', failures, ref)
  redis.call('HDEL', suspects, ref)
  tell_those_who_wait(ref, report_of(ref, 'failed', 0, why or 'its task was unregistered, replaced or disabled'))
end
