-- Extends a lease that is still held with this token.
--
-- @keys lease
-- @args token timeout_ms
-- Returns  1, or 0 if the lease is lost.
if redis.call('GET', lease) ~= token then return 0 end
return redis.call('PEXPIRE', lease, timeout_ms)
