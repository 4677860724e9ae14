-- Puts claimed targets back into their lanes, in their old place, for others to claim.
--
-- @keys claims tokens due reviews lanes rotas flow quarantine ensure forced again failures limits buckets slots suspects
-- @prefixes ready asked rota ages watchers outcomes holders guests
-- @args token
-- @rest refs
-- Returns  how many claims were still held with this token.
-- @include time
-- @include tasks
-- @include flags
-- @include limits
-- @include parts
-- @include lane
-- @include lanes
-- @include claims
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
