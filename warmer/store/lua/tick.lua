-- One tick: due -> ready, lapsed claims -> ready, refreshes that nobody used -> wasted.
-- Runs any number of times, from any process, with the same result. While warming is off, only what was asked for
-- by hand is moved.
--
-- KEYS  1 due  2 ready  3 claims  4 tokens  5 tasks  6 switch  7 verdicts  8 totals  9 requested
-- ARGV  1 most targets to move  2 prefix of stats
-- Returns  {moved, lapsed, wasted, ready now, due already but left for the next tick: 1 or 0}
-- @include time
-- @include ready
local due, ready, claims, tokens, tasks = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local limit, now = tonumber(ARGV[1]), now_ms()

local moved, switch = 0, redis.call('GET', KEYS[6])
if switch and cjson.decode(switch).on then
  local refs = redis.call('ZRANGE', due, '-inf', now, 'BYSCORE', 'LIMIT', 0, limit, 'WITHSCORES')
  for i = 1, #refs, 2 do
    if make_ready(ready, due, tasks, refs[i], tonumber(refs[i + 1])) then moved = moved + 1 end
  end
else
  for _, ref in ipairs(redis.call('SMEMBERS', KEYS[9])) do
    local since = tonumber(redis.call('ZSCORE', due, ref) or now + 1)
    if since <= now and make_ready(ready, due, tasks, ref, since) then moved = moved + 1 end
  end
end

local lapsed = redis.call('ZRANGE', claims, '-inf', now, 'BYSCORE', 'LIMIT', 0, limit)
for _, ref in ipairs(lapsed) do
  local since = string.match(redis.call('HGET', tokens, ref) or '', '|(%d+)$') or now
  redis.call('ZREM', claims, ref)
  redis.call('HDEL', tokens, ref)
  make_ready(ready, due, tasks, ref, tonumber(since))
end
if #lapsed > 0 then redis.call('HINCRBY', KEYS[8], 'lapsed_claims', #lapsed) end

local wasted = redis.call('ZRANGE', KEYS[7], '-inf', now, 'BYSCORE', 'LIMIT', 0, limit)
for _, verdict in ipairs(wasted) do
  redis.call('ZREM', KEYS[7], verdict)
  local task_id = task_of(string.match(verdict, ':(.*)$'))
  if redis.call('ZSCORE', tasks, task_id) then redis.call('HINCRBY', ARGV[2] .. task_id, 'wasted', 1) end
end
if #wasted > 0 then redis.call('HINCRBY', KEYS[8], 'wasted', #wasted) end

local more = #lapsed >= limit or moved >= limit
return {moved, #lapsed, #wasted, redis.call('ZCARD', ready), more and 1 or 0}
