-- Gives leases up because their computations failed, and leaves word of that for those who wait for them: they shall
-- not all try the same in vain. The word is short-lived; whoever comes later tries anew.
--
-- @each_key lease failure
-- @each_arg token how
-- how: what went wrong
-- Returns  for each 1, or 0 if it was not held with its token.
-- @include time
local WORD_MS = 10000
local now, answers = string.format('%.0f', now_ms()), {}
for i, one in ipairs(each) do
  answers[i] = 0
  if redis.call('GET', one.lease) == one.token then
    redis.call('DEL', one.lease)
    redis.call('SET', one.failure, now .. '|' .. one.how, 'PX', WORD_MS)
    answers[i] = 1
  end
end
return answers
