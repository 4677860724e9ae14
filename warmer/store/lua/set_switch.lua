-- Switches warming on or off for the whole fleet.
-- Switched off, what was ready by schedule waits in due again; what was asked for by hand stays.
--
-- @keys switch ready due requested
-- @args new
-- new: the switch as JSON
-- Returns  1 if that changed anything, else 0.
-- @include ready
if redis.call('GET', switch) == new then return 0 end
redis.call('SET', switch, new)
if cjson.decode(new).on then return 1 end
local standing = redis.call('ZRANGE', ready, 0, -1, 'WITHSCORES')
for i = 1, #standing, 2 do
  local ref = standing[i]
  if redis.call('SISMEMBER', requested, ref) == 0 then
    redis.call('ZREM', ready, ref)
    redis.call('ZADD', due, due_of(standing[i + 1]), ref)
  end
end
return 1
