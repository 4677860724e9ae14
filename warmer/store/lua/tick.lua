-- One tick: due -> ready, lapsed claims -> ready, refreshes that nobody used -> wasted.
-- Runs any number of times, from any process, with the same result. While warming is off, only what was asked for
-- by hand is moved.
--
-- @keys due ready claims tokens tasks switch verdicts totals requested ensure forced again failures
-- @prefixes stats watchers outcomes
-- @args limit:number
-- limit: most targets to move at once
-- Returns  {moved, lapsed, wasted, ready now, due already but left for the next tick: 1 or 0}
-- @include time
-- @include ready
-- @include flags
-- Moves a target on, or forgets it with its task.
local function move(ref, since)
  if make_ready(ready, due, tasks, ref, since) then return 1 end
  forget(ref)
  return 0
end

local now, moved, found = now_ms(), 0, 0

local switch_json = redis.call('GET', switch)
if switch_json and cjson.decode(switch_json).on then
  local refs = redis.call('ZRANGE', due, '-inf', now, 'BYSCORE', 'LIMIT', 0, limit, 'WITHSCORES')
  found = #refs / 2
  for i = 1, #refs, 2 do
    moved = moved + move(refs[i], tonumber(refs[i + 1]))
  end
else
  for _, ref in ipairs(redis.call('SMEMBERS', requested)) do
    local since = tonumber(redis.call('ZSCORE', due, ref) or now + 1)
    if since <= now then moved = moved + move(ref, since) end
  end
end

local lapsed = redis.call('ZRANGE', claims, '-inf', now, 'BYSCORE', 'LIMIT', 0, limit)
for _, ref in ipairs(lapsed) do
  local since = string.match(redis.call('HGET', tokens, ref) or '', '|(%d+)$') or now
  redis.call('ZREM', claims, ref)
  redis.call('HDEL', tokens, ref)
  move(ref, tonumber(since))
end
if #lapsed > 0 then redis.call('HINCRBY', totals, 'lapsed_claims', #lapsed) end

local wasted = redis.call('ZRANGE', verdicts, '-inf', now, 'BYSCORE', 'LIMIT', 0, limit)
for _, verdict in ipairs(wasted) do
  redis.call('ZREM', verdicts, verdict)
  local task_id = task_of(string.match(verdict, ':(.*)$'))
  if redis.call('ZSCORE', tasks, task_id) then redis.call('HINCRBY', stats .. task_id, 'wasted', 1) end
end
if #wasted > 0 then redis.call('HINCRBY', totals, 'wasted', #wasted) end

local more = #lapsed >= limit or found >= limit
return {moved, #lapsed, #wasted, redis.call('ZCARD', ready), more and 1 or 0}
