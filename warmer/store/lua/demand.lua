-- What the policy needs to know of one target.
--
-- @keys heat landmark totals switch
-- @prefixes stats
-- @args ref half_life_ms:number
-- Returns  {heat, 95th percentile of compute ms or "", queue wait to expect in ms, switch or ""}
-- @include time
-- @include ready
-- @include heat
local now = now_ms()
local score = redis.call('ZSCORE', heat, ref) or 0
local landmark_ms = tonumber(redis.call('GET', landmark) or now)
return {
  string.format('%.9g', decayed(score, landmark_ms, now, half_life_ms)),
  redis.call('HGET', stats .. task_of(ref), 'p95_ms') or '',
  redis.call('HGET', totals, 'wait_ms') or '0',
  redis.call('GET', switch) or '',
}
