-- Level-triggered repair: every enabled critical target is due, ready or claimed; one that is nowhere becomes due now.
--
-- @keys critical due ready claims ensure
-- Returns  how many had been nowhere.
-- @include time
local repaired = 0
for _, ref in ipairs(redis.call('SMEMBERS', critical)) do
  local somewhere = redis.call('ZSCORE', due, ref) or redis.call('ZSCORE', ready, ref)
    or redis.call('ZSCORE', claims, ref)
  if not somewhere then
    redis.call('ZADD', due, now_ms(), ref)
    redis.call('SADD', ensure, ref)
    repaired = repaired + 1
  end
end
return repaired
