-- Extends a lease that is still held with this token.
--
-- KEYS  1 lease
-- ARGV  1 token  2 lease time-out in ms
-- Returns  1, or 0 if the lease is lost.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
