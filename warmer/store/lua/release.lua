-- Gives up a lease or a leadership that is still held with this token.
--
-- @keys held
-- @args token
-- Returns  1, or 0 if it was not held with this token.
if redis.call('GET', held) ~= token then return 0 end
return redis.call('DEL', held)
