-- Moves the moment at which an idle target is due or reviewed, or leaves it to expire; one that is ready or claimed keeps
-- its place.
--
-- @keys claims due fresh_ok reviews
-- @args ref at_ms forward_only where
-- at_ms: the moment, or "" to leave it to expire
-- forward_only: "1" to bring forward only, else "0"
-- where: "due", or "reviews"
-- Returns  1 if that changed anything, else 0.
-- @include quarantine ready_queues requests
if ready_since(ref) or redis.call('ZSCORE', claims, ref) or is_quarantined(ref) then return 0 end
if at_ms == '' then
  forget(ref)
  return redis.call('ZREM', due, ref) + redis.call('ZREM', reviews, ref)
end
local set, other = due, reviews
if where == 'reviews' then set, other = reviews, due end
local planned_at = redis.call('ZSCORE', set, ref)
if planned_at and forward_only == '1' and tonumber(planned_at) <= tonumber(at_ms) then return 0 end
-- One that had no place may still have a fresh value.
if not planned_at and set == due then redis.call('SADD', fresh_ok, ref) end
redis.call('ZADD', set, at_ms, ref)
redis.call('ZREM', other, ref)
return 1
