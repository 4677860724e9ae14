-- Completes refreshes: drops their claims, remembers publications, writes the statistics, plans the next refreshes, and
-- reports to watchers.
--
-- A worker gives its claim's token; if another one holds the claim by now, nothing is changed. A reader that computed a
-- miss has no claim (token ""): its computation is counted, and the target keeps its place wherever it is, unless it is
-- ready and the reader's value is all that was requested. No target stands twice among the outcomes.
--
-- @keys claim_records
-- @args done
-- done: JSON list of [ref, token, result, origin, computed_at, due_kind, due_at, duration_ms, error, refresh, wasted_at_ms,
--       fresh_until]
--   token: of the claim, or ""
--   result: "published", "fresh", "failed", "crashed" (it killed its process), "busy" or "lost"
--   origin: "warm" or "miss"
--   computed_at: of the value that is cached now, in ms; 0 if unknown
--   due_kind, due_at: see includes/next_due.lua
--   refresh: "computed_at:ref" of a refresh that is wasted from wasted_at_ms on unless a read uses it before; or ""
--   fresh_until: of the value that is cached now, in ms; 0 if unknown
-- Returns  {refs whose claim was no longer held with this token, refs and tasks that are quarantined from now on}
-- @include chunks claims history next_due outcome publications refresh_counters statistics tasks time
local now, lost, held, newly_quarantined = now_ms(), {}, {}, {}
local outcomes_done, is_on_demand_by, since_by, record_of = cjson.decode(done), {}, {}, {}

local function check_claims()
  local refs = {}
  for i, outcome in ipairs(outcomes_done) do refs[i] = outcome[1] end
  local records = answers_for('HMGET', claim_records, refs)
  for i, outcome in ipairs(outcomes_done) do
    local ref, token = outcome[1], outcome[2]
    local owner, since, is_on_demand = claim_of(records[i])
    if token ~= '' and owner == token then
      held[#held + 1] = ref
      record_of[ref], is_on_demand_by[i], since_by[i] = records[i], is_on_demand, since
    elseif token ~= '' then
      outcome.is_lost = true
      lost[#lost + 1] = ref
    end
  end
end

local function remember(outcome, is_on_demand, since)
  local ref, _, result, origin, _, _, _, duration_ms, why, refresh, wasted_at_ms, fresh_until = unpack(outcome)
  count_refresh(task_of(ref), result, origin, duration_ms, why)
  if result == 'published' and refresh ~= '' then judge_later(refresh, wasted_at_ms) end
  if ref == '' then return end
  if result == 'published' then
    remember_publication(ref, origin, not is_on_demand and since or nil, duration_ms, fresh_until, now)
  elseif result == 'fresh' then
    remember_freshness(ref, fresh_until, now)
  end
end

check_claims()
drop_claims(held, record_of)
for i, outcome in ipairs(outcomes_done) do
  if not outcome.is_lost then
    remember(outcome, is_on_demand_by[i], since_by[i])
    apply_outcome(outcome, is_on_demand_by[i], now, newly_quarantined)
  end
end
write_next_due()
write_unjudged_refreshes()
keep_history_meta()
write_statistics()
write_refresh_counters(now)
return {lost, newly_quarantined}
