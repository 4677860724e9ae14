-- Returns what is known of how long targets take.
--
-- @keys stats switch
-- @rest refs
-- Returns  {switch or "", p95 of compute ms or "" and expected queue wait in ms of each}
-- @include tasks
local found = {}
for _, ref in ipairs(refs) do
  local measured = redis.call('HMGET', stats .. task_of(ref), 'p95_ms', 'wait_ms')
  found[#found + 1] = measured[1] or ''
  found[#found + 1] = measured[2] or '0'
end
return {redis.call('GET', switch) or '', found}
