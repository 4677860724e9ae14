-- Level-triggered repair: every enabled critical target is due, ready or claimed; one that is nowhere becomes due now.
-- Looks at a part of them in each call, so that Redis is never held up.
--
-- @keys claims critical due ensure
-- @args cursor count:number
-- cursor: "0" to begin, then what the last call returned
-- Returns  {how many had been nowhere, the next cursor, "0" after the last part}
-- @include lanes time
local repaired = 0
local found = redis.call('SSCAN', critical, cursor, 'COUNT', count)
for _, ref in ipairs(found[2]) do
  local somewhere = redis.call('ZSCORE', due, ref) or standing_of(ref) or redis.call('ZSCORE', claims, ref)
  if not somewhere and not is_quarantined(ref) then
    redis.call('ZADD', due, now_ms(), ref)
    redis.call('SADD', ensure, ref)
    repaired = repaired + 1
  end
end
return {repaired, found[1]}
