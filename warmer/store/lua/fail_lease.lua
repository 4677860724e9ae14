-- Gives up leases whose computations failed, and caches the failure for a short time, so that readers that wait for the
-- leases do not all repeat the same computation.
--
-- @each_key lease failure
-- @each_arg token how
-- how: what went wrong
-- Returns  for each 1, or 0 if it was not held with its token.
-- @include time
local FAILURE_TTL_MS = 10000
local now, answers = string.format('%.0f', now_ms()), {}
for i, one in ipairs(each) do
  answers[i] = 0
  if redis.call('GET', one.lease) == one.token then
    redis.call('DEL', one.lease)
    redis.call('SET', one.failure, now .. '|' .. one.how, 'PX', FAILURE_TTL_MS)
    answers[i] = 1
  end
end
return answers
