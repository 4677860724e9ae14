-- Ends the claims of a process that died: their targets are ready again, and are suspects, one of which may have
-- killed it.
--
-- @keys tokens
-- @args life
-- life: what all tokens of the process begin with; not ""
-- Returns  the refs that are ready again.
-- @include lapses time
local now, refs, text_of = now_ms(), {}, {}
local all = redis.call('HGETALL', tokens)
for i = 1, #all, 2 do
  if life ~= '' and string.sub(all[i + 1], 1, #life) == life then
    refs[#refs + 1] = all[i]
    text_of[all[i]] = all[i + 1]
  end
end
lapse(refs, text_of, now)
return refs
