-- Extends claims that are still held with this token, and the slots of limits that they hold.
--
-- @keys claim_records claims
-- @settings claim_timeout_ms
-- @args token
-- @rest refs
-- Returns  the refs whose claims are lost.
-- @include chunks claims limits time
local lost, now = {}, now_ms()
local records = answers_for('HMGET', claim_records, refs)
for i, ref in ipairs(refs) do
  local owner, _, _, limit, slot = claim_of(records[i])
  if owner == token then
    redis.call('ZADD', claims, 'XX', now + claim_timeout_ms, ref)
    if limit ~= '' then extend_under(limit, {slot}, now + claim_timeout_ms) end
  else
    lost[#lost + 1] = ref
  end
end
return lost
