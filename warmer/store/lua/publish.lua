-- Writes an entry, if the token still holds the lease, and gives the lease up.
--
-- @keys lease entry
-- @args token expires_at_ms:number new
-- new: the entry
-- Returns  1, 0 if the lease is lost (it lapsed, or was voided by an invalidation), or -1 if the entry has expired.
-- @include time
if redis.call('GET', lease) ~= token then return 0 end
redis.call('DEL', lease)
local remaining_ms = expires_at_ms - now_ms()
if remaining_ms <= 0 then return -1 end
redis.call('SET', entry, new, 'PX', remaining_ms)
return 1
