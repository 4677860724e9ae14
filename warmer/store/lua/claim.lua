-- Claims the best ready targets, and what is due by now: highest priority first, then round-robin over the tasks, then
-- the longest ready first. While warming is off, only targets that were requested on demand. Targets of tasks that are
-- gone are dropped.
--
-- @keys claim_records claims definitions fresh_ok must_recompute oldest rerun stats switch
-- @settings claim_timeout_ms
-- @const MAX_QUEUE_WAIT_MS QUEUE_WAIT_DECAY
-- @args threads:number loop:number processes:number token waits:number only
-- @rest unknown_ids
-- threads, loop, processes: calls of each kind that may begin: one for a target, or for those of a batch
-- token: owner token of the claims
-- waits: 1 if a batch that is not full may wait for more, 0 if it is claimed at once
-- only: JSON list of the refs that may be claimed, best first, or "" for all
-- unknown_ids: tasks that the caller does not know, left to others
-- Returns  JSON {now: ms, switch: JSON or "", blocked: how many tasks have something ready that has to wait: for a limit, a
--          fuller batch, a next claim, tasks: {task id: {definition, p95 of compute ms or "", expected queue wait in ms}},
--          claims: [[ref, ready since ms, 1 if a fresh value will do, failures in a row, deaths], ...]}; the claims of
--          one batch stand together
-- @include calls claims fair_queue limits quarantine ready_queues requests task_spec tasks time turns
local now, switch_json = now_ms(), redis.call('GET', switch) or ''
local claimed, tasks_met, more_is_due = {}, {}, false
local round = {
  now = now, on = switch_json ~= '' and cjson.decode(switch_json).on, capacity = {t = threads, l = loop, p = processes},
  targets = 0, unknown = {}, blocked = 0,
}
for _, task_id in ipairs(unknown_ids) do round.unknown[task_id] = true end

-- claiming ---------------------------------------------------------------------------------------------------
-- The expected queue wait of a task follows a longer one at once and a shorter one slowly, so that refreshes begin
-- early enough.
local function meet(task_id, waited_ms)
  local task = tasks_met[task_id]
  if not task then
    local measured = redis.call('HMGET', stats .. task_id, 'p95_ms', 'wait_ms')
    local expected_ms = math.floor(QUEUE_WAIT_DECAY * tonumber(measured[2] or 0))
    task = {redis.call('HGET', definitions, task_id), measured[1] or '', expected_ms}
    tasks_met[task_id] = task
  end
  if waited_ms > task[3] then task[3] = waited_ms end
end

local function members_in(set, refs)
  if redis.call('SCARD', set) == 0 then return {} end
  return redis.call('SMISMEMBER', set, unpack(refs))
end

-- Returns for each target whether a fresh value will do. One that was requested while a claim ran that never ended needs a
-- new value: this claim is the rerun.
local function fresh_will_do(refs, is_on_demand)
  local reruns, answers = members_in(rerun, refs), {}
  local flags = members_in(is_on_demand and must_recompute or fresh_ok, refs)
  for i, ref in ipairs(refs) do
    answers[i] = (flags[i] or 0) == (is_on_demand and 0 or 1)
    if reruns[i] == 1 then
      redis.call('SREM', rerun, ref)
      redis.call('SREM', fresh_ok, ref)
      redis.call('SADD', must_recompute, ref)
      answers[i] = false
    end
  end
  return answers
end

-- Claims targets that have left their queue, in these calls.
local function claim(taken, calls, spec, is_on_demand)
  local refs, deadline, limit, slot_of = taken.refs, now + claim_timeout_ms, spec.limit, {}
  for _, call in ipairs(calls) do
    for _, ref in ipairs(call) do slot_of[ref] = call[1] end
  end
  local deadlines, records, waited_ms = {}, {}, 0
  for i, ref in ipairs(refs) do
    local since, slot = taken.since[i], limit == '' and '' or slot_of[ref]
    deadlines[2 * i - 1], deadlines[2 * i] = deadline, ref
    records[2 * i - 1], records[2 * i] = ref, claim_record(token, since, is_on_demand, limit, slot)
    if not is_on_demand then waited_ms = math.max(waited_ms, math.min(now - since, MAX_QUEUE_WAIT_MS)) end
  end
  redis.call('ZADD', claims, unpack(deadlines))
  redis.call('HSET', claim_records, unpack(records))
  if limit ~= '' then begin_calls(limit, calls, deadline, now) end

  for i, fresh in ipairs(fresh_will_do(refs, is_on_demand)) do
    claimed[#claimed + 1] = {refs[i], taken.since[i], fresh and 1 or 0, taken.failures[i], taken.deaths[i]}
  end
  round.targets = #claimed
  meet(task_of(refs[1]), waited_ms)
end

-- serving a task ---------------------------------------------------------------------------------------------
-- Drops some of the targets that are left of a task that is gone; each claim drops some more.
local function drop_some(task_id, name, is_on_demand)
  local PAGE = 64
  local refs = redis.call('ZRANGE', queue_of(task_id, is_on_demand), 0, PAGE - 1)
  for _, ref in ipairs(refs) do
    leave_queue(ref)
    forget(ref)
  end
  if #refs < PAGE then leave_fair_queue(task_id, name) end
  pass_over(task_id, name)
end

-- Drops what is in quarantine.
local function without_quarantined(found, queue, is_on_demand)
  if not some_are_in_quarantine() then return found end
  local left = {}
  for i = 1, #found, 2 do
    if is_quarantined(found[i]) then
      local removed = redis.call('ZREM', queue, found[i])
      if is_on_demand then count_on_demand(-removed) end
      forget(found[i], IN_QUARANTINE)
    else
      left[#left + 1], left[#left + 2] = found[i], found[i + 1]
    end
  end
  return left
end

local function take_from(queue, taken, is_on_demand)
  local removed = redis.call('ZREM', queue, unpack(taken.refs))
  if is_on_demand then count_on_demand(-removed) end
end

-- A task that has more goes to the end of its priority.
local function end_turn(task_id, name, queue, priority)
  local first = redis.call('ZRANGE', queue, 0, 0, 'WITHSCORES')
  if first[2] then
    move_to_the_end(task_id, name, priority)
    redis.call('ZADD', oldest .. name, first[2], task_id)
  else
    leave_fair_queue(task_id, name)
  end
end

-- Claims up to so many calls of a task; returns how many.
function round.serve(task_id, name, max_calls)
  local is_on_demand = needs_of(name)
  local spec = spec_of(task_id)
  if not spec then
    drop_some(task_id, name, is_on_demand)
    return 0
  end
  if fair_queue_of(spec, is_on_demand) ~= name then  -- its definition has changed
    leave_fair_queue(task_id, name)
    return 0
  end

  local queue = queue_of(task_id, is_on_demand)
  max_calls = math.min(max_calls, round.capacity[spec.kind], room_under(spec.limit, spec.is_critical, now))
  local max_targets = math.min(max_calls * spec.batch_size, MAX_TARGETS)
  local found = redis.call('ZRANGE', queue, '-inf', now, 'BYSCORE', 'LIMIT', 0, max_targets, 'WITHSCORES')
  found = without_rest(found, spec, function(since) return more_is_due or since + waits * spec.batch_wait_ms > now end)
  found = without_quarantined(found, queue, is_on_demand)
  if #found == 0 then
    if redis.call('EXISTS', queue) == 1 then let_wait(round, task_id, name, spec.priority)
    else leave_fair_queue(task_id, name) end
    return 0
  end

  local taken, calls = calls_of(found, spec, max_calls)
  take_from(queue, taken, is_on_demand)
  end_turn(task_id, name, queue, spec.priority)
  round.capacity[spec.kind] = round.capacity[spec.kind] - #calls
  claim(taken, calls, spec, is_on_demand)
  return #calls
end

local function claim_only(refs)
  for _, ref in ipairs(refs) do
    local since, is_on_demand = ready_since(ref)
    local is_claimable = since and since <= now and (round.on or is_on_demand) and not round.unknown[task_of(ref)]
    local spec = is_claimable and spec_of(task_of(ref))
    if spec and round.capacity.t > 0 and room_under(spec.limit, spec.is_critical, now) >= 1 and not is_quarantined(ref) then
      leave_queue(ref)
      round.capacity.t = round.capacity.t - 1
      local taken, calls = calls_of({ref, since}, spec, 1)
      claim(taken, calls, spec, is_on_demand)
    end
  end
end

if round.on and move_due(now, MAX_TARGETS) == MAX_TARGETS then
  more_is_due, round.blocked = true, 1
end
if only ~= '' then
  claim_only(cjson.decode(only))
else
  serve_the_starving(round)
  serve_in_turn(round)
end

for task_id, task in pairs(tasks_met) do redis.call('HSET', stats .. task_id, 'wait_ms', task[3]) end
return cjson.encode({now = now, switch = switch_json, blocked = round.blocked, tasks = tasks_met, claims = claimed})
