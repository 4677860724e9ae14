-- Withdraws requests of targets that no worker has begun; a target that others want too stays ready.
--
-- @keys claims due fresh_ok must_recompute reviews watchers
-- @args watcher
-- @rest refs
-- Returns  the refs that a worker has begun; their outcomes are still reported.
-- @include ready_queues requests time
local begun = {}

local function take_back(ref)
  local _, is_on_demand = ready_since(ref)
  local has_requested = redis.call('SREM', watchers .. ref, watcher) == 1
  local needs_new = redis.call('SISMEMBER', watchers .. ref, ITS_RENEWAL) == 1
  local is_scheduled = needs_new or redis.call('SISMEMBER', watchers .. ref, ITS_SCHEDULE) == 1
  local is_reviewed = redis.call('SISMEMBER', watchers .. ref, ITS_REVIEW) == 1
  local others = redis.call('SCARD', watchers .. ref) - (is_scheduled and 1 or 0) - (is_reviewed and 1 or 0)
  if not (is_on_demand and has_requested) or others > 0 then return end
  leave_queue(ref)
  redis.call('DEL', watchers .. ref)
  if not needs_new then redis.call('SREM', must_recompute, ref) end
  if is_scheduled then
    if not needs_new then redis.call('SADD', fresh_ok, ref) end
    redis.call('ZADD', due, now_ms(), ref)
  elseif is_reviewed then
    redis.call('ZADD', reviews, now_ms(), ref)
  end
end

for _, ref in ipairs(refs) do
  if redis.call('ZSCORE', claims, ref) then
    begun[#begun + 1] = ref
  else
    take_back(ref)
  end
end
return begun
