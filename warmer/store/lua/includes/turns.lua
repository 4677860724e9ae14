-- Whose turn it is: strictly by priority; within a priority round-robin, with equal shares; and one call in
-- STARVING_SHARE goes to those that have waited longer than starvation_s.
--
-- A round of turns is a table of: now; on (is warming on); capacity (calls of each kind that may begin); targets (how many
-- were claimed); unknown (tasks that are left to others); serve (claims up to so many calls of a task; returns how many).
--
-- @keys fair_queue fair_queues oldest queue_counters
-- @settings starvation_ms
-- @const STARVING_SHARE
-- @include fair_queue limits
local MAX_TARGETS = 1000  -- in one round
local is_open, let_wait, pass_over, serve_in_turn, serve_the_starving
do  -- Lua allows 200 local variables; what is not named above is seen only here
  local PAGE, MAX_WAITING = 64, 100
  local passed_over, full, waiting_in, first_score = {}, {}, {}, {}

  -- Returns whether targets of a fair queue may be claimed: one whose limit is used up is passed over as a whole.
  function is_open(round, name)
    local is_on_demand, is_critical, kind, limit = needs_of(name)
    if not (round.on or is_on_demand) or (round.capacity[kind] or 0) <= 0 then return false end
    if room_under(limit, is_critical, round.now) >= 1 then return true end
    if not full[name] then
      full[name] = true
      round.blocked = round.blocked + 1
    end
    return false
  end

  -- Passes a task over for the rest of the round.
  function pass_over(task_id, name)
    passed_over[name .. ' ' .. task_id] = true
  end

  -- A task that has to wait goes behind the others of its priority, so that those come first next time. Where too many
  -- wait, the rest of that priority is passed over until then.
  function let_wait(round, task_id, name, priority)
    move_to_the_end(task_id, name, priority)
    pass_over(task_id, name)
    round.blocked, waiting_in[name] = round.blocked + 1, (waiting_in[name] or 0) + 1
    if waiting_in[name] >= MAX_WAITING then
      waiting_in[name], first_score[name] = 0, score_of(priority - 1, 0)
    end
  end

  local function may_go_on(round)
    return round.capacity.t + round.capacity.l + round.capacity.p > 0 and round.targets < MAX_TARGETS
  end

  local function page_of(name, offset)
    return redis.call('ZRANGE', fair_queue .. name, first_score[name] or '-inf', '+inf', 'BYSCORE', 'LIMIT', offset, PAGE,
      'WITHSCORES')
  end

  -- Returns the tasks of the highest priority that any task has, in their order.
  local function next_in_turn(round)
    local best, found = nil, {}
    for _, name in ipairs(redis.call('SMEMBERS', fair_queues)) do
      local offset, goes_on = 0, is_open(round, name)
      while goes_on do
        local page = page_of(name, offset)
        goes_on = #page == 2 * PAGE
        for i = 1, #page, 2 do
          local task_id, score = page[i], tonumber(page[i + 1])
          if not round.unknown[task_id] and not passed_over[name .. ' ' .. task_id] then
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

  -- Returns how many calls each task may begin so that all have the same share of the capacity and of the limit that they
  -- need.
  local function shares_of(round, tasks_in_turn)
    local of_kind, of_limit, shares = {}, {}, {}
    for _, task in ipairs(tasks_in_turn) do
      local _, _, kind, limit = needs_of(task.name)
      of_kind[kind], of_limit[limit] = (of_kind[kind] or 0) + 1, (of_limit[limit] or 0) + 1
    end
    for i, task in ipairs(tasks_in_turn) do
      local _, is_critical, kind, limit = needs_of(task.name)
      local room = room_under(limit, is_critical, round.now)
      shares[i] = math.max(1, math.floor(math.min(round.capacity[kind] / of_kind[kind], room / of_limit[limit])))
    end
    return shares
  end

  function serve_in_turn(round)
    local in_turn = next_in_turn(round)
    while may_go_on(round) and #in_turn > 0 do
      local shares = shares_of(round, in_turn)
      for i, task in ipairs(in_turn) do
        local is_passed_over = passed_over[task.name .. ' ' .. task.task_id]
          or task.score < (first_score[task.name] or task.score)
        if may_go_on(round) and is_open(round, task.name) and not is_passed_over then
          local _, _, kind = needs_of(task.name)
          redis.call('HINCRBY', queue_counters, 'unstarved:' .. kind, round.serve(task.task_id, task.name, shares[i]))
        end
      end
      in_turn = next_in_turn(round)
    end
  end

  -- For each seven calls that were claimed in their turn, one is due to what has starved longest.
  local function turns_of_the_starving(round)
    local turns = {}
    for _, kind in ipairs({'t', 'l', 'p'}) do
      local others = tonumber(redis.call('HGET', queue_counters, 'unstarved:' .. kind) or 0)
      turns[kind] =
        math.min(math.floor(others / (STARVING_SHARE - 1)), math.ceil(round.capacity[kind] / STARVING_SHARE))
    end
    return turns
  end

  -- Returns the starving tasks whose kind has turns, the longest starving first, and the kinds of which any starve.
  local function starving_tasks(round, turns)
    local starving, kinds = {}, {}
    for _, name in ipairs(redis.call('SMEMBERS', fair_queues)) do
      local _, _, kind = needs_of(name)
      if is_open(round, name) then
        local old = redis.call('ZRANGE', oldest .. name, '-inf', round.now - starvation_ms, 'BYSCORE', 'LIMIT', 0, PAGE,
          'WITHSCORES')
        kinds[kind] = kinds[kind] or #old > 0
        for i = 1, #old, 2 do
          if turns[kind] > 0 and not round.unknown[old[i]] then
            starving[#starving + 1] = {task_id = old[i], name = name, since = tonumber(old[i + 1]), kind = kind}
          end
        end
      end
    end
    table.sort(starving, function(one, other) return one.since < other.since end)
    return starving, kinds
  end

  function serve_the_starving(round)
    if starvation_ms <= 0 then return end
    local turns = turns_of_the_starving(round)
    local starving, kinds = starving_tasks(round, turns)
    for _, task in ipairs(starving) do
      local kind = task.kind
      if turns[kind] > 0 and may_go_on(round) and is_open(round, task.name)
        and round.serve(task.task_id, task.name, 1) > 0 then
        turns[kind] = turns[kind] - 1
        redis.call('HINCRBY', queue_counters, 'unstarved:' .. kind, 1 - STARVING_SHARE)
      end
    end
    for _, kind in ipairs({'t', 'l', 'p'}) do  -- turns are not saved up while nobody starves
      if not kinds[kind] and round.capacity[kind] > 0 then
        redis.call('HDEL', queue_counters, 'unstarved:' .. kind)
      end
    end
  end
end
