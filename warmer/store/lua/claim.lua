-- Claims the best ready targets, what is due by now among them: highest priority first, then the tasks in turn, then
-- those ready longest. While warming is off, only what was asked for by hand. Targets of tasks that are gone are dropped.
--
-- @keys again ages claims definitions ensure failures flow forced rota rotas stats suspects switch tokens
-- @settings claim_timeout_ms starvation_ms
-- @const MAX_QUEUE_WAIT_MS QUEUE_WAIT_DECAY STARVING_SHARE
-- @args threads:number loop:number processes:number token waits:number only
-- @rest unknown_ids
-- threads, loop, processes: how many calls of each kind may begin: one for a target, or for those of a batch
-- token: owner token of the claims
-- waits: 1 if a batch that is not full may wait for more, 0 if it is claimed at once
-- only: JSON list of the refs that may be claimed, best first, or "" for all
-- unknown_ids: tasks that the caller does not know, left to others
-- Returns  JSON {now: ms, switch: JSON or "", held: how many tasks have something ready that has to wait: for a limit, a
--          fuller batch, a next claim, tasks: {task id: {definition, p95 of compute ms or "", queue wait to expect in ms}},
--          claims: [[ref, ready since ms, 1 if a fresh value will do, failures in a row, deaths], ...]}; the claims of
--          one batch stand together
-- @include claims flags lane lanes limits tasks time
local PAGE, MAX_TARGETS, MAX_LOOKS = 64, 1000, 100
local unknown = {}
for _, task_id in ipairs(unknown_ids) do unknown[task_id] = true end

local now = now_ms()
local switch_json = redis.call('GET', switch) or ''
local on = switch_json ~= '' and cjson.decode(switch_json).on
local places_left = {t = threads, l = loop, p = processes}
local claimed, met, held, more_is_due = {}, {}, 0, false
local blocked, closed, looks, first_score = {}, {}, {}, {}

-- claiming ---------------------------------------------------------------------------------------------------
local function members_in(set, refs)
  if redis.call('SCARD', set) == 0 then return {} end
  return redis.call('SMISMEMBER', set, unpack(refs))
end

local function fields_in(hash, refs)
  if redis.call('HLEN', hash) == 0 then return {} end
  return redis.call('HMGET', hash, unpack(refs))
end

-- The queue wait of a task to expect: it follows a longer one at once, and a shorter one slowly, so that refreshes
-- begin early enough.
local function meet(task_id, waited_ms)
  local known = met[task_id]
  if not known then
    local measured = redis.call('HMGET', stats .. task_id, 'p95_ms', 'wait_ms')
    known = {redis.call('HGET', definitions, task_id), measured[1] or '', math.floor(QUEUE_WAIT_DECAY * tonumber(measured[2] or 0))}
    met[task_id] = known
  end
  if waited_ms > known[3] then known[3] = waited_ms end
end

-- Claims targets that have left their lane: the first so many of `taken`, which begin `calls`.
local function claim(taken, calls, lane, is_asked)
  local refs, deadline = taken.refs, now + claim_timeout_ms
  local limit, slot_of = lane.limit, {}
  for _, call in ipairs(calls) do
    for _, ref in ipairs(call) do slot_of[ref] = call[1] end
  end
  local deadlines, records, waited_ms = {}, {}, 0
  for i, ref in ipairs(refs) do
    local since = taken.since[i]
    deadlines[2 * i - 1], deadlines[2 * i] = deadline, ref
    records[2 * i - 1] = ref
    records[2 * i] = claim_text(token, since, is_asked, limit, limit == '' and '' or slot_of[ref])
    if not is_asked then waited_ms = math.max(waited_ms, math.min(now - since, MAX_QUEUE_WAIT_MS)) end
  end
  redis.call('ZADD', claims, unpack(deadlines))
  redis.call('HSET', tokens, unpack(records))
  if limit ~= '' then begin_calls(limit, calls, deadline, now) end

  local asked_again, said = members_in(again, refs), members_in(is_asked and forced or ensure, refs)
  for i, ref in ipairs(refs) do
    local fresh_will_do = (said[i] or 0) == (is_asked and 0 or 1)
    if asked_again[i] == 1 then  -- asked for while a claim ran that never ended: this one is it
      redis.call('SREM', again, ref)
      redis.call('SREM', ensure, ref)
      redis.call('SADD', forced, ref)
      fresh_will_do = false
    end
    claimed[#claimed + 1] = {ref, taken.since[i], fresh_will_do and 1 or 0, taken.failed[i], taken.deaths[i]}
  end
  meet(task_of(refs[1]), waited_ms)
end

-- lanes and their turns --------------------------------------------------------------------------------------
local function room_for(limit, is_critical)
  return limit == '' and math.huge or room_under(limit, is_critical, now)
end

-- Says whether the targets of a rota may be claimed: a rota whose limit is full is passed over as a whole.
local function is_open(name)
  local is_asked, is_critical, kind, limit = needs_of(name)
  if not (on or is_asked) or (places_left[kind] or 0) <= 0 then return false end
  if room_for(limit, is_critical) >= 1 then return true end
  if not closed[name] then
    closed[name] = true
    held = held + 1
  end
  return false
end

-- What is left in a lane whose task is gone is dropped, some of it in each claim.
local function drop_some(task_id, name, is_asked)
  local refs = redis.call('ZRANGE', members_of(task_id, is_asked), 0, PAGE - 1)
  for _, ref in ipairs(refs) do
    leave_lane(ref)
    forget(ref)
  end
  if #refs < PAGE then leave_rota(task_id, name) end
  blocked[name .. ' ' .. task_id] = true
end

-- A lane that has to wait goes behind the others of its priority, so that those are looked at first next time; where
-- too many wait, the rest of that priority is passed over until then.
local function let_wait(task_id, name, lane)
  redis.call('ZADD', rota .. name, score_of(lane.priority, next_turn()), task_id)
  blocked[name .. ' ' .. task_id] = true
  held, looks[name] = held + 1, (looks[name] or 0) + 1
  if looks[name] >= MAX_LOOKS then
    looks[name], first_score[name] = 0, score_of(lane.priority - 1, 0)
  end
end

-- Drops the rest of a last batch that is not full yet and may still wait for more, or has more that is due already.
local function without_rest(found, lane)
  local rest = (#found / 2) % lane.batch_size
  if lane.batch_size == 1 or rest == 0 then return found end
  local first = #found / 2 - rest + 1
  if not more_is_due and tonumber(found[2 * first]) + waits * lane.batch_wait_ms <= now then return found end
  return {unpack(found, 1, 2 * (first - 1))}
end

-- Leaves out what is quarantined, for good.
local function without_quarantined(found, members, is_asked)
  if not some_are_in_quarantine() then return found end
  local left = {}
  for i = 1, #found, 2 do
    if is_quarantined(found[i]) then
      local removed = redis.call('ZREM', members, found[i])
      if is_asked then count_asked(-removed) end
      forget(found[i], IN_QUARANTINE)
    else
      left[#left + 1], left[#left + 2] = found[i], found[i + 1]
    end
  end
  return left
end

-- Divides targets into calls: those of a batch together; who has failed, or was there when a process died, alone.
-- What would need more calls than may begin is left.
local function calls_of(found, lane, most)
  local refs, since = {}, {}
  for i = 1, #found, 2 do
    refs[#refs + 1], since[#since + 1] = found[i], tonumber(found[i + 1])
  end
  local failed, deaths = fields_in(failures, refs), fields_in(suspects, refs)
  local taken, calls, batch = {refs = {}, since = {}, failed = {}, deaths = {}}, {}, nil
  for i, ref in ipairs(refs) do
    local failures_before, deaths_before = tonumber(failed[i] or 0) or 0, tonumber(deaths[i] or 0) or 0
    local is_alone = lane.batch_size == 1 or failures_before > 0 or deaths_before > 0
    local call = not is_alone and batch and #batch < lane.batch_size and batch or {}
    if #call == 0 then
      if #calls == most then break end
      calls[#calls + 1] = call
    end
    call[#call + 1] = ref
    if not is_alone then batch = call end
    local n = #taken.refs + 1
    taken.refs[n], taken.since[n], taken.failed[n], taken.deaths[n] = ref, since[i], failures_before, deaths_before
  end
  return taken, calls
end

-- Gives a lane its turn: claims up to so many calls; returns how many.
local function serve(task_id, name, most)
  local is_asked = needs_of(name)
  local lane = lane_of(task_id)
  if not lane then
    drop_some(task_id, name, is_asked)
    return 0
  end
  if rota_of(lane, is_asked) ~= name then  -- the task needs something else by now
    leave_rota(task_id, name)
    return 0
  end
  local most_now = math.min(most, places_left[lane.kind], room_for(lane.limit, lane.is_critical))
  local members = members_of(task_id, is_asked)
  local targets = math.min(most_now * lane.batch_size, MAX_TARGETS)
  local found = redis.call('ZRANGE', members, '-inf', now, 'BYSCORE', 'LIMIT', 0, targets, 'WITHSCORES')
  if #found == 0 and redis.call('EXISTS', members) == 0 then
    leave_rota(task_id, name)
    return 0
  end
  found = without_quarantined(without_rest(found, lane), members, is_asked)
  if #found == 0 then
    if redis.call('EXISTS', members) == 1 then let_wait(task_id, name, lane) else leave_rota(task_id, name) end
    return 0
  end

  local taken, calls = calls_of(found, lane, most_now)
  local left = redis.call('ZREM', members, unpack(taken.refs))
  if is_asked then count_asked(-left) end
  local first = redis.call('ZRANGE', members, 0, 0, 'WITHSCORES')
  if first[2] then
    redis.call('ZADD', rota .. name, score_of(lane.priority, next_turn()), task_id)
    redis.call('ZADD', ages .. name, first[2], task_id)
  else
    leave_rota(task_id, name)
  end
  places_left[lane.kind] = places_left[lane.kind] - #calls
  claim(taken, calls, lane, is_asked)
  return #calls
end

local function has_time()
  return places_left.t + places_left.l + places_left.p > 0 and #claimed < MAX_TARGETS
end

-- The lanes whose turn it is, of the highest priority that any lane has, in their order.
local function next_lanes()
  local best, found = nil, {}
  for _, name in ipairs(redis.call('SMEMBERS', rotas)) do
    local offset, goes_on = 0, is_open(name)
    while goes_on do
      local page = redis.call('ZRANGE', rota .. name, first_score[name] or '-inf', '+inf', 'BYSCORE', 'LIMIT', offset, PAGE,
        'WITHSCORES')
      goes_on = #page == 2 * PAGE
      for i = 1, #page, 2 do
        local task_id, score = page[i], tonumber(page[i + 1])
        if not unknown[task_id] and not blocked[name .. ' ' .. task_id] then
          local priority = priority_of(score)
          if best and priority < best then
            goes_on = false
            break
          end
          if not best or priority > best then best, found = priority, {} end
          found[#found + 1] = {task_id = task_id, name = name, score = score}
          goes_on = goes_on and #found < PAGE
        end
      end
      offset = offset + PAGE
    end
  end
  table.sort(found, function(one, other) return one.score < other.score end)
  return found
end

-- How many calls each lane may begin, for all of them to have the same: of the capacity that it needs, and of its limit's.
local function shares_of(served)
  local of_kind, of_limit = {}, {}
  for _, lane in ipairs(served) do
    local _, _, kind, limit = needs_of(lane.name)
    of_kind[kind], of_limit[limit] = (of_kind[kind] or 0) + 1, (of_limit[limit] or 0) + 1
  end
  return function(name)
    local _, is_critical, kind, limit = needs_of(name)
    local room = room_for(limit, is_critical)
    return math.max(1, math.floor(math.min(places_left[kind] / of_kind[kind], room / of_limit[limit])))
  end
end

local function serve_in_turn()
  local served = next_lanes()
  while has_time() and #served > 0 do
    local share_of = shares_of(served)
    local shares = {}
    for i, lane in ipairs(served) do shares[i] = share_of(lane.name) end
    for i, lane in ipairs(served) do
      local is_passed_over = blocked[lane.name .. ' ' .. lane.task_id] or lane.score < (first_score[lane.name] or lane.score)
      if has_time() and is_open(lane.name) and not is_passed_over then
        local _, _, kind = needs_of(lane.name)
        redis.call('HINCRBY', flow, 'unstarved:' .. kind, serve(lane.task_id, lane.name, shares[i]))
      end
    end
    served = next_lanes()
  end
end

-- Behind more important things, one call in some goes to what has starved longest: for each seven calls that were
-- claimed in their turn, one is due to it.
local function serve_the_starving()
  if starvation_ms <= 0 then return end
  local turns, starving, found_any = {}, {}, {}
  for _, kind in ipairs({'t', 'l', 'p'}) do
    local others = tonumber(redis.call('HGET', flow, 'unstarved:' .. kind) or 0)
    turns[kind] = math.min(math.floor(others / (STARVING_SHARE - 1)), math.ceil(places_left[kind] / STARVING_SHARE))
  end
  for _, name in ipairs(redis.call('SMEMBERS', rotas)) do
    local _, _, kind = needs_of(name)
    if is_open(name) then
      local old = redis.call('ZRANGE', ages .. name, '-inf', now - starvation_ms, 'BYSCORE', 'LIMIT', 0, PAGE, 'WITHSCORES')
      found_any[kind] = found_any[kind] or #old > 0
      for i = 1, #old, 2 do
        if turns[kind] > 0 and not unknown[old[i]] then
          starving[#starving + 1] = {task_id = old[i], name = name, since = tonumber(old[i + 1]), kind = kind}
        end
      end
    end
  end
  table.sort(starving, function(one, other) return one.since < other.since end)
  for _, lane in ipairs(starving) do
    if turns[lane.kind] > 0 and has_time() and is_open(lane.name) and serve(lane.task_id, lane.name, 1) > 0 then
      turns[lane.kind] = turns[lane.kind] - 1
      redis.call('HINCRBY', flow, 'unstarved:' .. lane.kind, 1 - STARVING_SHARE)
    end
  end
  for _, kind in ipairs({'t', 'l', 'p'}) do  -- nothing is saved up while nobody starves
    if not found_any[kind] and places_left[kind] > 0 then redis.call('HDEL', flow, 'unstarved:' .. kind) end
  end
end

local function claim_only(refs)
  for _, ref in ipairs(refs) do
    local task_id = task_of(ref)
    local since, is_asked = standing_of(ref)
    local lane = since and since <= now and (on or is_asked) and not unknown[task_id] and lane_of(task_id)
    if lane and places_left.t > 0 and room_for(lane.limit, lane.is_critical) >= 1 and not is_quarantined(ref) then
      leave_lane(ref)
      places_left.t = places_left.t - 1
      local taken, calls = calls_of({ref, since}, lane, 1)
      claim(taken, calls, lane, is_asked)
    end
  end
end

if on and move_due(now, MAX_TARGETS) == MAX_TARGETS then
  more_is_due, held = true, 1
end
if only ~= '' then
  claim_only(cjson.decode(only))
else
  serve_the_starving()
  serve_in_turn()
end

for task_id, known in pairs(met) do redis.call('HSET', stats .. task_id, 'wait_ms', known[3]) end
return cjson.encode({
  now = now, switch = switch_json, held = held, tasks = met, claims = claimed,
})
