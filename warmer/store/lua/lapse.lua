-- Ends the claims of a process that died: their targets are ready again, and are suspects, one of which may have
-- killed it.
--
-- @keys claims tokens due reviews lanes rotas flow quarantine suspects ensure forced again failures totals limits buckets slots
-- @prefixes ready asked rota ages watchers outcomes holders guests
-- @args life
-- life: what all tokens of the process begin with; not ""
-- Returns  the refs that are ready again.
-- @include time
-- @include tasks
-- @include flags
-- @include limits
-- @include parts
-- @include lane
-- @include lanes
-- @include claims
-- @include quarantine
-- @include lapses
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
