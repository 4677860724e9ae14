-- Gives up what is still held with this token; see acquire_token.lua.
--
-- @args key token
-- Returns  1, or 0 if it was not held with this token.
if redis.call('GET', key) ~= token then return 0 end
return redis.call('DEL', key)
