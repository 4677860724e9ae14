-- Extends leases that are still held with their token.
--
-- @settings lease_timeout_ms
-- @each_key lease
-- @each_arg token
-- Returns  for each 1, or 0 if the lease is lost.
local answers = {}
for i, one in ipairs(each) do
  answers[i] = redis.call('GET', one.lease) == one.token and redis.call('PEXPIRE', one.lease, lease_timeout_ms) or 0
end
return answers
