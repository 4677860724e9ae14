-- Writes an entry, if the token still holds the lease, and gives the lease up.
--
-- KEYS  1 lease  2 entry
-- ARGV  1 token  2 when the entry expires, in ms since the epoch  3 the entry
-- Returns  1, 0 if the lease is lost (it lapsed, or was voided by an invalidation), or -1 if the entry has expired.
-- @include time
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1])
local remaining_ms = tonumber(ARGV[2]) - now_ms()
if remaining_ms <= 0 then return -1 end
redis.call('SET', KEYS[2], ARGV[3], 'PX', remaining_ms)
return 1
