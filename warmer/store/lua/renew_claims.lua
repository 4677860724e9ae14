-- Extends claims that are still held with this token, and what they hold of a limit.
--
-- @keys claims tokens
-- @settings claim_timeout_ms
-- @args token
-- @rest refs
-- Returns  the refs whose claims are lost.
-- @include limits parts time
local lost, now = {}, now_ms()
local texts = answers_for('HMGET', tokens, refs)
for i, ref in ipairs(refs) do
  local owner, limit, slot = string.match(texts[i] or '', '^([^|]*)|%-?%d+|%a|([^|]*)|(.*)$')
  if owner == token then
    redis.call('ZADD', claims, 'XX', now + claim_timeout_ms, ref)
    if limit ~= '' then extend_under(limit, {slot}, now + claim_timeout_ms) end
  else
    lost[#lost + 1] = ref
  end
end
return lost
