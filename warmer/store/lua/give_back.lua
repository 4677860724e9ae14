-- Puts claimed targets back into their lanes, in their old place, for others to claim.
--
-- @keys tokens
-- @args token
-- @rest refs
-- Returns  how many claims were still held with this token.
-- @include claims parts time
local now, held, text_of = now_ms(), {}, {}
local texts = answers_for('HMGET', tokens, refs)
for i, ref in ipairs(refs) do
  if claim_of(texts[i]) == token then
    held[#held + 1] = ref
    text_of[ref] = texts[i]
  end
end
drop_claims(held, text_of)
for _, ref in ipairs(held) do put_back(ref, text_of[ref], now) end
return #held
