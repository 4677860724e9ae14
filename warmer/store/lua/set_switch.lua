-- Switches warming on or off for the whole fleet.
-- While it is off, ready targets stay ready and nobody claims them; targets requested on demand are warmed all the same.
--
-- @keys switch
-- @args new
-- new: the switch as JSON
-- Returns  1 if that changed anything, else 0.
if redis.call('GET', switch) == new then return 0 end
redis.call('SET', switch, new)
return 1
