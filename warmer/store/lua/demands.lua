-- What the policy needs to know of targets.
--
-- @keys heat landmark totals switch
-- @prefixes stats
-- @args half_life_ms:number
-- @rest refs
-- Returns  {queue wait to expect in ms, switch or "", heat and 95th percentile of compute ms or "" of each}
-- @include time
-- @include tasks
-- @include heat
local now, found = now_ms(), {}
local landmark_ms = tonumber(redis.call('GET', landmark) or now)
for i, score in ipairs(redis.call('ZMSCORE', heat, unpack(refs))) do
  found[#found + 1] = string.format('%.9g', decayed(score or 0, landmark_ms, now, half_life_ms))
  found[#found + 1] = redis.call('HGET', stats .. task_of(refs[i]), 'p95_ms') or ''
end
return {redis.call('HGET', totals, 'wait_ms') or '0', redis.call('GET', switch) or '', found}
