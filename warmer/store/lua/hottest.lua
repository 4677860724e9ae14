-- The hottest targets, and where they stand.
--
-- @keys heat landmark due claims lanes rotas flow quarantine ensure forced again failures suspects
-- @prefixes ready asked rota ages watchers outcomes
-- @args count:number half_life_ms:number
-- Returns  {now in ms, targets}, each {ref, heat, due in ms, "busy" if it is ready or claimed, or "" if it lapsed}
-- @include time
-- @include heat
-- @include tasks
-- @include flags
-- @include lanes
local now = now_ms()
local landmark_ms = tonumber(redis.call('GET', landmark) or now)
local found = redis.call('ZREVRANGE', heat, 0, count - 1, 'WITHSCORES')
local targets = {}
for i = 1, #found, 2 do
  local ref = found[i]
  local standing = redis.call('ZSCORE', due, ref) or ''
  if standing_of(ref) or redis.call('ZSCORE', claims, ref) then standing = 'busy' end
  targets[#targets + 1] = {
    ref, string.format('%.9g', decayed(found[i + 1], landmark_ms, now, half_life_ms)), standing,
  }
end
return {now, targets}
