-- Level-triggered repair: every enabled critical target has to be due, ready or claimed; one that is not becomes due now.
-- Each call checks some of them, so that Redis is never held up.
--
-- @keys claims critical due fresh_ok
-- @args cursor count:number
-- cursor: "0" to begin, then what the last call returned
-- Returns  {how many were repaired, the next cursor, "0" at the end}
-- @include quarantine ready_queues time
local repaired = 0
local found = redis.call('SSCAN', critical, cursor, 'COUNT', count)
for _, ref in ipairs(found[2]) do
  local somewhere = redis.call('ZSCORE', due, ref) or ready_since(ref) or redis.call('ZSCORE', claims, ref)
  if not somewhere and not is_quarantined(ref) then
    redis.call('ZADD', due, now_ms(), ref)
    redis.call('SADD', fresh_ok, ref)
    repaired = repaired + 1
  end
end
return {repaired, found[1]}
