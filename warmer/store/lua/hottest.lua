-- The hottest targets, and where they stand.
--
-- KEYS  1 heat  2 landmark  3 due  4 ready  5 claims
-- ARGV  1 how many  2 half-life in ms
-- Returns  {now in ms, targets}, each {ref, heat, due in ms, "busy" if it is ready or claimed, or "" if it lapsed}
-- @include time
-- @include heat
local now = now_ms()
local landmark_ms = tonumber(redis.call('GET', KEYS[2]) or now)
local found = redis.call('ZREVRANGE', KEYS[1], 0, tonumber(ARGV[1]) - 1, 'WITHSCORES')
local targets = {}
for i = 1, #found, 2 do
  local ref = found[i]
  local standing = redis.call('ZSCORE', KEYS[3], ref) or ''
  if redis.call('ZSCORE', KEYS[4], ref) or redis.call('ZSCORE', KEYS[5], ref) then standing = 'busy' end
  targets[#targets + 1] = {
    ref, string.format('%.9g', decayed(found[i + 1], landmark_ms, now, tonumber(ARGV[2]))), standing,
  }
end
return {now, targets}
