-- One tick: due -> ready, lapsed claims -> ready, refreshes that nobody used -> wasted.
-- Runs any number of times, from any process, with the same result. While warming is off, nothing new becomes ready.
--
-- @keys claims rota rotas switch tokens verdicts
-- @args limit:number enough:number
-- limit: most targets to move at once
-- enough: up to how many ready targets are counted
-- Returns  {moved, lapsed, wasted, ready and to be claimed now, due already but left for the next tick: 1 or 0}
-- @include costs history lanes lapses parts sums tasks time
local now, found, moved = now_ms(), 0, 0
local switch_json = redis.call('GET', switch)
local on = switch_json and cjson.decode(switch_json).on
if on then found, moved = move_due(now, limit) end

local lapsed = redis.call('ZRANGE', claims, '-inf', now, 'BYSCORE', 'LIMIT', 0, limit)
if #lapsed > 0 then
  local text_of = {}
  for i, text in ipairs(answers_for('HMGET', tokens, lapsed)) do text_of[lapsed[i]] = text or nil end
  lapse(lapsed, text_of, now)
end

local wasted = redis.call('ZRANGE', verdicts, '-inf', now, 'BYSCORE', 'LIMIT', 0, limit)
for _, verdict in ipairs(wasted) do
  redis.call('ZREM', verdicts, verdict)
  local ref = string.match(verdict, ':(.*)$')
  add(task_of(ref), 'wasted', 1)
  add(task_of(ref), 'wasted_ms', cost_ms_of(history_of(ref), ref))
end
write_all_sums()

local function ready_now()
  local found = 0
  for _, name in ipairs(redis.call('SMEMBERS', rotas)) do
    local is_asked = needs_of(name)
    if on or is_asked then
      for _, task_id in ipairs(redis.call('ZRANGE', rota .. name, 0, enough)) do
        found = found + redis.call('ZCOUNT', members_of(task_id, is_asked), '-inf', now)
        if found >= enough then return enough end
      end
    end
  end
  return found
end

local more = #lapsed >= limit or found >= limit
return {moved, #lapsed, #wasted, ready_now(), more and 1 or 0}
