-- Gives claims up: their targets are ready again, as if they had not been claimed.
--
-- @keys claim_records
-- @args token
-- @rest refs
-- Returns  how many claims were still held with this token.
-- @include chunks claims time
local now, held, record_of = now_ms(), {}, {}
local records = answers_for('HMGET', claim_records, refs)
for i, ref in ipairs(refs) do
  if claim_of(records[i]) == token then
    held[#held + 1] = ref
    record_of[ref] = records[i]
  end
end
drop_claims(held, record_of)
for _, ref in ipairs(held) do put_back(ref, record_of[ref], now) end
return #held
