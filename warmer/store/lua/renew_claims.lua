-- Extends claims that are still held with this token.
--
-- @keys claims tokens
-- @args token timeout_ms:number
-- @rest refs
-- Returns  the refs whose claims are lost.
-- @include time
local lost, now = {}, now_ms()
for _, ref in ipairs(refs) do
  local owner = string.match(redis.call('HGET', tokens, ref) or '', '^([^|]*)|')
  if owner == token then
    redis.call('ZADD', claims, 'XX', now + timeout_ms, ref)
  else
    lost[#lost + 1] = ref
  end
end
return lost
