-- Moves an idle target's due time, or lets it lapse; one that is ready, claimed or asked for keeps its place.
--
-- @keys due claims lanes rotas flow quarantine ensure forced again failures suspects
-- @prefixes ready asked rota ages watchers outcomes
-- @args ref at_ms forward_only
-- at_ms: when it is due, or "" to let it lapse
-- forward_only: "1" to bring forward only, else "0"
-- Returns  1 if that changed anything, else 0.
-- @include tasks
-- @include flags
-- @include lanes
if standing_of(ref) or redis.call('ZSCORE', claims, ref) or is_quarantined(ref) then return 0 end
if at_ms == '' then
  forget(ref)
  return redis.call('ZREM', due, ref)
end
local standing = redis.call('ZSCORE', due, ref)
if standing and forward_only == '1' and tonumber(standing) <= tonumber(at_ms) then return 0 end
-- One that had lapsed may still have a fresh value.
if not standing then redis.call('SADD', ensure, ref) end
redis.call('ZADD', due, at_ms, ref)
return 1
