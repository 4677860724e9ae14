-- Takes the right to write an entry, if nobody has it.
--
-- @keys lease entry failure
-- @args token timeout_ms length:number waiting_since:number seize
-- length: how many bytes of the entry to return
-- waiting_since: since when the caller has waited for another's computation, in ms; 0 if it has not
-- seize: "1" to void whoever has it, else "0"
-- Returns  {1 if taken, else 0, now in ms, the beginning of the present entry or "",
--           how the computation that was waited for has failed or ""}
-- @include time
local now = now_ms()
if waiting_since > 0 then
  local failed_at, how = string.match(redis.call('GET', failure) or '', '^(%d+)|(.*)$')
  if failed_at and tonumber(failed_at) >= waiting_since then return {0, now, '', how} end
end
if seize == '1' then redis.call('DEL', lease) end
-- Whoever asks again because the reply was lost has it already.
local taken = redis.call('SET', lease, token, 'NX', 'PX', timeout_ms) or redis.call('GET', lease) == token
return {taken and 1 or 0, now, redis.call('GETRANGE', entry, 0, length - 1), ''}
