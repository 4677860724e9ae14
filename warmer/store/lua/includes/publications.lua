-- Publications: what each one changes in the history of its target, and which ones are to be judged useful or wasted.
--
-- @keys claim_records unjudged_refreshes
-- @settings history_capacity
-- @const EPOCH_MS
-- @include chunks claims history ready_queues statistics task_spec tasks
local to_judge = {}

-- Returns since when a target is ready or claimed by schedule; nil if it is not.
local function refresh_due_since(ref)
  local _, since, is_on_demand = claim_of(redis.call('HGET', claim_records, ref) or '')
  if not since then since, is_on_demand = ready_since(ref) end
  return not is_on_demand and since or nil
end

-- A refresh that was due while the value before was fresh is late if it is published after that has expired, or if a
-- reader is faster. Baseline misses that came before the first value are paid for now that its cost is known.
local function remember_publication(ref, origin, since, duration_ms, fresh_until, now)
  local h, place = history_of(ref)
  if not h then return end  -- nobody has read it yet
  local task_id, expired = task_of(ref), h.fresh_until + EPOCH_MS
  if h.fresh_until > 0 and expired < now then
    if origin == 'miss' then since = refresh_due_since(ref) end
    if since and since < expired then add(task_id, 'late', 1) end
  end
  if h.cost == 0 and h.baseline_until > 0 and spec_of(task_id) then
    add_and_charge(task_id, 'baseline_ms', duration_ms)
  end
  take_publication(h, math.max(0, fresh_until - EPOCH_MS), duration_ms / 1000)
  keep_history(h, place, now - EPOCH_MS)
end

-- A fresh value was there already, perhaps one whose publication nobody has reported.
local function remember_freshness(ref, fresh_until, now)
  local h, place = history_of(ref)
  if not h or fresh_until - EPOCH_MS <= h.fresh_until then return end
  h.fresh_until = fresh_until - EPOCH_MS
  keep_history(h, place, now - EPOCH_MS)
end

local function judge_later(refresh, wasted_at_ms)
  table.insert(to_judge, wasted_at_ms)
  table.insert(to_judge, refresh)
end

-- Where too many refreshes wait to be judged, those that would be judged last are not judged at all.
local function write_unjudged_refreshes()
  call_with('ZADD', unjudged_refreshes, to_judge)
  local overflow = redis.call('ZCARD', unjudged_refreshes) - history_capacity
  if overflow > 0 then
    add('', 'unjudged', redis.call('ZREMRANGEBYRANK', unjudged_refreshes, -overflow, -1))
  end
end
