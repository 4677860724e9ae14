-- What is known of a target besides its place: whether a fresh value will do, failures in a row, who watches it.
--
-- @keys crash_suspects failures fresh_ok must_recompute outcomes rerun watchers
local OUTCOME_TTL_S = 300
local IN_QUARANTINE = 'it is in quarantine: it has killed the processes that computed it'

-- Members of the set of watchers that stand for something else: a requester that does not wait; the target's schedule,
-- for which a fresh value will do; its schedule, which needs a new value; its next review.
local SOMEBODY, ITS_SCHEDULE, ITS_RENEWAL, ITS_REVIEW = '!', '~', '^', '?'
local NO_WATCHER = {[SOMEBODY] = true, [ITS_SCHEDULE] = true, [ITS_RENEWAL] = true, [ITS_REVIEW] = true}

local function report_to_watchers(ref, result, duration_ms, why)
  local waiting = redis.call('SMEMBERS', watchers .. ref)
  if #waiting == 0 then return end
  local text = cjson.encode({ref = ref, result = result, duration_ms = duration_ms, error = why})
  for _, watcher in ipairs(waiting) do
    if not NO_WATCHER[watcher] then
      redis.call('RPUSH', outcomes .. watcher, text)
      redis.call('EXPIRE', outcomes .. watcher, OUTCOME_TTL_S)
    end
  end
  redis.call('DEL', watchers .. ref)
end

-- Forgets a target that is gone: its task is, or it is in quarantine, or the policy lets it expire.
local function forget(ref, why)
  for _, set in ipairs({fresh_ok, must_recompute, rerun}) do redis.call('SREM', set, ref) end
  redis.call('HDEL', failures, ref)
  redis.call('HDEL', crash_suspects, ref)
  report_to_watchers(ref, 'failed', 0, why or 'its task was unregistered, replaced or disabled')
end
