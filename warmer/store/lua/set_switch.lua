-- Switches warming on or off for the whole fleet.
-- Switched off, what was ready by schedule waits in due again; what was asked for by hand stays.
--
-- KEYS  1 switch  2 ready  3 due  4 requested
-- ARGV  1 the switch as JSON
-- Returns  1 if that changed anything, else 0.
-- @include ready
if redis.call('GET', KEYS[1]) == ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1])
if cjson.decode(ARGV[1]).on then return 1 end
local standing = redis.call('ZRANGE', KEYS[2], 0, -1, 'WITHSCORES')
for i = 1, #standing, 2 do
  local ref = standing[i]
  if redis.call('SISMEMBER', KEYS[4], ref) == 0 then
    redis.call('ZREM', KEYS[2], ref)
    redis.call('ZADD', KEYS[3], due_of(standing[i + 1]), ref)
  end
end
return 1
