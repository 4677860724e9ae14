-- Returns the targets that are read most.
--
-- @keys heat heat_landmark
-- @settings heat_half_life_ms
-- @args count:number
-- Returns  {now in ms, targets}, each {ref, heat}
-- @include heat time
local now = now_ms()
local landmark_ms = tonumber(redis.call('GET', heat_landmark) or now)
local found = redis.call('ZREVRANGE', heat, 0, count - 1, 'WITHSCORES')
local targets = {}
for i = 1, #found, 2 do
  targets[#targets + 1] = {found[i], string.format('%.9g', decayed(found[i + 1], landmark_ms, now, heat_half_life_ms))}
end
return {now, targets}
