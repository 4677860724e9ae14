-- Moves an idle target's due time, or lets it lapse; one that is ready or claimed keeps its place.
--
-- KEYS  1 due  2 ready  3 claims
-- ARGV  1 ref  2 when it is due in ms, or "" to let it lapse  3 "1" to bring forward only, else "0"
-- Returns  1 if that changed anything, else 0.
local ref, at = ARGV[1], ARGV[2]
if redis.call('ZSCORE', KEYS[2], ref) or redis.call('ZSCORE', KEYS[3], ref) then return 0 end
if at == '' then return redis.call('ZREM', KEYS[1], ref) end
local standing = redis.call('ZSCORE', KEYS[1], ref)
if standing and ARGV[3] == '1' and tonumber(standing) <= tonumber(at) then return 0 end
redis.call('ZADD', KEYS[1], at, ref)
return 1
