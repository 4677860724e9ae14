-- Ends the claims of a drain whose process died; see includes/lapse.lua.
--
-- @keys claim_records
-- @args drain_id
-- drain_id: what the tokens of all its claims begin with; not ""
-- Returns  the refs that are ready again.
-- @include lapse time
local now, refs, record_of = now_ms(), {}, {}
local all = redis.call('HGETALL', claim_records)
for i = 1, #all, 2 do
  if drain_id ~= '' and string.sub(all[i + 1], 1, #drain_id) == drain_id then
    refs[#refs + 1] = all[i]
    record_of[all[i]] = all[i + 1]
  end
end
lapse(refs, record_of, now)
return refs
