-- Writes entries whose lease is still held with their token, and gives the leases up.
--
-- @each_key lease entry
-- @each_arg token expires_at_ms:number new
-- new: the entry
-- Returns  for each 1, 0 if the lease is lost (it lapsed, or was voided by an invalidation), or -1 if the entry has
--          expired.
-- @include time
local now, answers = now_ms(), {}

local function publish(one)
  if redis.call('GET', one.lease) ~= one.token then return 0 end
  redis.call('DEL', one.lease)
  if one.expires_at_ms <= now then return -1 end
  redis.call('SET', one.entry, one.new, 'PXAT', string.format('%.0f', one.expires_at_ms))
  return 1
end

for i, one in ipairs(each) do answers[i] = publish(one) end
return answers
