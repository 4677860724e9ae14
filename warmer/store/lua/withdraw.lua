-- Takes back what somebody has asked for, and nobody has begun; what others wait for, too, stays.
--
-- @keys claims due ensure forced reviews watchers
-- @args watcher
-- @rest refs
-- Returns  the refs that somebody has begun; their outcomes are still told.
-- @include flags lanes time
local begun = {}

local function take_back(ref)
  local _, is_asked = standing_of(ref)
  local has_asked = redis.call('SREM', watchers .. ref, watcher) == 1
  local needs_new = redis.call('SISMEMBER', watchers .. ref, ITS_RENEWAL) == 1
  local is_scheduled = needs_new or redis.call('SISMEMBER', watchers .. ref, ITS_SCHEDULE) == 1
  local is_reviewed = redis.call('SISMEMBER', watchers .. ref, ITS_REVIEW) == 1
  local others = redis.call('SCARD', watchers .. ref) - (is_scheduled and 1 or 0) - (is_reviewed and 1 or 0)
  if not (is_asked and has_asked) or others > 0 then return end
  leave_lane(ref)
  redis.call('DEL', watchers .. ref)
  if not needs_new then redis.call('SREM', forced, ref) end
  if is_scheduled then
    if not needs_new then redis.call('SADD', ensure, ref) end
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
