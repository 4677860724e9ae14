-- Fair queues: round-robin over tasks, strictly by priority.
--
-- A fair queue holds the tasks with ready targets that need the same: a kind of executor, a limit, its reserve, and
-- whether they were requested by hand ("a") or are scheduled ("s"). A task's score is its priority and its round-robin
-- position; the lowest is next.
--
-- @keys fair_queue fair_queues oldest queue_counters
local POSITIONS = 2 ^ 40  -- |priority| <= 2^12 and a position fit into the 53 exact bits of a score

local function fair_queue_of(spec, is_on_demand)
  return (is_on_demand and 'a' or 's') .. spec.needs
end

-- Returns what a fair queue's targets need: on demand or scheduled, critical or not, the kind of executor, the limit.
local function needs_of(name)
  return string.sub(name, 1, 1) == 'a', string.sub(name, 2, 2) == 'c', string.sub(name, 3, 3), string.sub(name, 5)
end

local last_position
local function next_position()
  last_position = (last_position or tonumber(redis.call('HGET', queue_counters, 'position') or 0)) + 1
  redis.call('HSET', queue_counters, 'position', last_position)
  return last_position
end

local function score_of(priority, position)
  return -priority * POSITIONS + position
end

local function priority_of(score)
  return -math.floor(score / POSITIONS)
end

-- Moves a task behind the others of its priority.
local function move_to_the_end(task_id, name, priority)
  redis.call('ZADD', fair_queue .. name, score_of(priority, next_position()), task_id)
end

-- A task with ready targets enters at the end of its priority; one that is in the queue already keeps its position.
local entered = {}
local function enter_fair_queue(task_id, spec, is_on_demand, since)
  local name = fair_queue_of(spec, is_on_demand)
  local place = name .. ' ' .. task_id
  if entered[place] and entered[place] <= since then return end
  entered[place] = since
  redis.call('SADD', fair_queues, name)
  if redis.call('ZADD', fair_queue .. name, 'NX', score_of(spec.priority, 0), task_id) == 1 then
    move_to_the_end(task_id, name, spec.priority)
  end
  redis.call('ZADD', oldest .. name, 'LT', since, task_id)
end

local function leave_fair_queue(task_id, name)
  entered[name .. ' ' .. task_id] = nil
  redis.call('ZREM', fair_queue .. name, task_id)
  redis.call('ZREM', oldest .. name, task_id)
  if redis.call('EXISTS', fair_queue .. name) == 0 then redis.call('SREM', fair_queues, name) end
end
