-- Ends claims whose process died: their targets are ready again, and are suspects, one of which may have killed it.
--
-- @keys totals
-- @include claims quarantine
local function lapse(refs, record_of, now)
  if #refs == 0 then return end
  drop_claims(refs, record_of)
  for _, ref in ipairs(refs) do
    suspect(ref)
    put_back(ref, record_of[ref], now)
  end
  redis.call('HINCRBY', totals, 'lapsed_claims', #refs)
end
