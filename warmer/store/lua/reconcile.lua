-- Level-triggered repair: every enabled critical target is due, ready or claimed; one that is nowhere becomes due now.
--
-- KEYS  1 critical  2 due  3 ready  4 claims  5 ensure
-- Returns  how many had been nowhere.
-- @include time
local repaired = 0
for _, ref in ipairs(redis.call('SMEMBERS', KEYS[1])) do
  local somewhere = redis.call('ZSCORE', KEYS[2], ref) or redis.call('ZSCORE', KEYS[3], ref)
    or redis.call('ZSCORE', KEYS[4], ref)
  if not somewhere then
    redis.call('ZADD', KEYS[2], now_ms(), ref)
    redis.call('SADD', KEYS[5], ref)
    repaired = repaired + 1
  end
end
return repaired
