-- Gives up a lease or a leadership that is still held with this token.
--
-- KEYS  1 the key that holds the token
-- ARGV  1 token
-- Returns  1, or 0 if it was not held with this token.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
