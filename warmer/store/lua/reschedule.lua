-- Moves the moment at which an idle target is due, or reviewed, or lets it lapse; one that is ready, claimed or asked for
-- keeps its place.
--
-- @keys claims due ensure reviews
-- @args ref at_ms forward_only where
-- at_ms: when it is, or "" to let it lapse
-- forward_only: "1" to bring forward only, else "0"
-- where: "due", or "reviews"
-- Returns  1 if that changed anything, else 0.
-- @include flags lanes
if standing_of(ref) or redis.call('ZSCORE', claims, ref) or is_quarantined(ref) then return 0 end
if at_ms == '' then
  forget(ref)
  return redis.call('ZREM', due, ref) + redis.call('ZREM', reviews, ref)
end
local set, other = due, reviews
if where == 'reviews' then set, other = reviews, due end
local standing = redis.call('ZSCORE', set, ref)
if standing and forward_only == '1' and tonumber(standing) <= tonumber(at_ms) then return 0 end
-- One that had lapsed may still have a fresh value.
if not standing and set == due then redis.call('SADD', ensure, ref) end
redis.call('ZADD', set, at_ms, ref)
redis.call('ZREM', other, ref)
return 1
