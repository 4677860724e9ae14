-- Gives up leases that are still held with their token.
--
-- @each_key lease
-- @each_arg token
-- Returns  for each 1, or 0 if it was not held with it.
local answers = {}
for i, one in ipairs(each) do
  answers[i] = redis.call('GET', one.lease) == one.token and redis.call('DEL', one.lease) or 0
end
return answers
