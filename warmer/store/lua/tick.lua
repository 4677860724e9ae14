-- One tick: what is due becomes ready, claims past their deadline lapse, refreshes that nobody used count as wasted. Any
-- process may run it any number of times. While warming is off, nothing that is due becomes ready.
--
-- @keys claim_records claims fair_queue fair_queues switch unjudged_refreshes
-- @args limit:number enough:number
-- limit: most targets to move at once
-- enough: up to how many ready targets are counted
-- Returns  {moved, lapsed, wasted, ready and to be claimed now, due already but left for the next tick: 1 or 0}
-- @include chunks fair_queue history lapse ready_queues statistics tasks time
local now, found, moved = now_ms(), 0, 0
local switch_json = redis.call('GET', switch)
local on = switch_json and cjson.decode(switch_json).on
if on then found, moved = move_due(now, limit) end

local lapsed = redis.call('ZRANGE', claims, '-inf', now, 'BYSCORE', 'LIMIT', 0, limit)
if #lapsed > 0 then
  local record_of = {}
  for i, record in ipairs(answers_for('HMGET', claim_records, lapsed)) do record_of[lapsed[i]] = record or nil end
  lapse(lapsed, record_of, now)
end

local wasted = redis.call('ZRANGE', unjudged_refreshes, '-inf', now, 'BYSCORE', 'LIMIT', 0, limit)
for _, refresh in ipairs(wasted) do
  redis.call('ZREM', unjudged_refreshes, refresh)
  local ref = string.match(refresh, ':(.*)$')
  add(task_of(ref), 'wasted', 1)
  add(task_of(ref), 'wasted_ms', cost_ms_of(history_of(ref), ref))
end
write_statistics()

local function ready_now()
  local found = 0
  for _, name in ipairs(redis.call('SMEMBERS', fair_queues)) do
    local is_on_demand = needs_of(name)
    if on or is_on_demand then
      for _, task_id in ipairs(redis.call('ZRANGE', fair_queue .. name, 0, enough)) do
        found = found + redis.call('ZCOUNT', queue_of(task_id, is_on_demand), '-inf', now)
        if found >= enough then return enough end
      end
    end
  end
  return found
end

local more = #lapsed >= limit or found >= limit
return {moved, #lapsed, #wasted, ready_now(), more and 1 or 0}
