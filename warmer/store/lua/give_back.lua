-- Puts a claimed target back into the ready set, in its old place, for others to claim.
--
-- @keys claims tokens ready due tasks
-- @args ref token
-- Returns  1, or 0 if the claim was no longer held with this token.
-- @include ready
local owner, since = string.match(redis.call('HGET', tokens, ref) or '', '^([^|]*)|(%d+)$')
if owner ~= token then return 0 end
redis.call('ZREM', claims, ref)
redis.call('HDEL', tokens, ref)
make_ready(ready, due, tasks, ref, tonumber(since))
return 1
