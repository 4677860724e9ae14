-- Where targets stand, and what is remembered of them. Changes nothing.
--
-- @keys asked brain claims due ready reviews stats switch
-- @rest refs
-- Returns  {now in ms, switch or "", brain as a flat list of fields, targets}, each target {place: "due", "review", "busy" if
--          it is ready or claimed, or "" if it stands nowhere, when in ms, ttl in ms or 0 if its task is gone, account as
--          `review` has it, 95th percentile of compute ms or "", queue wait to expect in ms or "", history or ""}
-- @include history lane tasks time
local now, targets = now_ms(), {}

local function place_of_target(ref)
  local task_id = task_of(ref)
  local since = redis.call('ZSCORE', claims, ref) or redis.call('ZSCORE', ready .. task_id, ref)
    or redis.call('ZSCORE', asked .. task_id, ref)
  if since then return 'busy', since end
  local at = redis.call('ZSCORE', due, ref)
  if at then return 'due', at end
  at = redis.call('ZSCORE', reviews, ref)
  if at then return 'review', at end
  return '', '0'
end

for i, ref in ipairs(refs) do
  local lane = lane_of(task_of(ref))
  local place, at = place_of_target(ref)
  local measured = redis.call('HMGET', stats .. task_of(ref), 'p95_ms', 'wait_ms')
  targets[i] = {
    place, at, lane and lane.ttl_ms or 0, lane and lane.account or 'n', measured[1] or '', measured[2] or '',
    packed_history_of(ref),
  }
end
return {now, redis.call('GET', switch) or '', redis.call('HGETALL', brain), targets}
