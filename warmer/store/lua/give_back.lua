-- Puts a claimed target back into the ready set, in its old place, for others to claim.
--
-- KEYS  1 claims  2 tokens  3 ready  4 due  5 tasks
-- ARGV  1 ref  2 owner token
-- Returns  1, or 0 if the claim was no longer held with this token.
-- @include ready
local ref = ARGV[1]
local owner, since = string.match(redis.call('HGET', KEYS[2], ref) or '', '^([^|]*)|(%d+)$')
if owner ~= ARGV[2] then return 0 end
redis.call('ZREM', KEYS[1], ref)
redis.call('HDEL', KEYS[2], ref)
make_ready(KEYS[3], KEYS[4], KEYS[5], ref, tonumber(since))
return 1
