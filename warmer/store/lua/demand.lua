-- What the policy needs to know of one target.
--
-- KEYS  1 heat  2 landmark  3 totals  4 switch
-- ARGV  1 ref  2 its task's statistics  3 half-life in ms
-- Returns  {heat, 95th percentile of compute ms or "", mean queue wait in ms, switch or ""}
-- @include time
-- @include heat
local now = now_ms()
local heat = redis.call('ZSCORE', KEYS[1], ARGV[1]) or 0
local landmark_ms = tonumber(redis.call('GET', KEYS[2]) or now)
return {
  string.format('%.9g', decayed(heat, landmark_ms, now, tonumber(ARGV[3]))),
  redis.call('HGET', ARGV[2], 'p95_ms') or '',
  redis.call('HGET', KEYS[3], 'wait_ms') or '0',
  redis.call('GET', KEYS[4]) or '',
}
