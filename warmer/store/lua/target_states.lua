-- Returns where targets are, and what is known of them. Changes nothing.
--
-- @keys claims due on_demand_queue policy_state reviews scheduled_queue stats switch
-- @rest refs
-- Returns  {now in ms, switch or "", policy state as a flat list of fields, targets}, each target {place: "due", "review",
--          "busy" if it is ready or claimed, or "" if it has none, when in ms, ttl in ms or 0 if its task is gone, account
--          as `due_reviews` has it, p95 of compute ms or "", expected queue wait in ms or "", history or ""}
-- @include history task_spec tasks time
local now, targets = now_ms(), {}

local function place_of_target(ref)
  local task_id = task_of(ref)
  local since = redis.call('ZSCORE', claims, ref) or redis.call('ZSCORE', scheduled_queue .. task_id, ref)
    or redis.call('ZSCORE', on_demand_queue .. task_id, ref)
  if since then return 'busy', since end
  local at = redis.call('ZSCORE', due, ref)
  if at then return 'due', at end
  at = redis.call('ZSCORE', reviews, ref)
  if at then return 'review', at end
  return '', '0'
end

for i, ref in ipairs(refs) do
  local spec = spec_of(task_of(ref))
  local place, at = place_of_target(ref)
  local measured = redis.call('HMGET', stats .. task_of(ref), 'p95_ms', 'wait_ms')
  targets[i] = {
    place, at, spec and spec.ttl_ms or 0, spec and spec.account or 'n', measured[1] or '', measured[2] or '',
    packed_history_of(ref),
  }
end
return {now, redis.call('GET', switch) or '', redis.call('HGETALL', policy_state), targets}
