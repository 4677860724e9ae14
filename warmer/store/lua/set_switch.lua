-- Switches warming on or off for the whole fleet.
-- Switched off, what is ready by schedule stays where it is, and nobody claims it; what was asked for by hand goes on.
--
-- @keys switch
-- @args new
-- new: the switch as JSON
-- Returns  1 if that changed anything, else 0.
if redis.call('GET', switch) == new then return 0 end
redis.call('SET', switch, new)
return 1
