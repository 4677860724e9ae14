-- Counts the targets that wait for a worker.
--
-- @keys fair_queue fair_queues
-- Returns  the number.
-- @include fair_queue ready_queues
local waiting = 0
for _, name in ipairs(redis.call('SMEMBERS', fair_queues)) do
  local is_on_demand = needs_of(name)
  for _, task_id in ipairs(redis.call('ZRANGE', fair_queue .. name, 0, -1)) do
    waiting = waiting + redis.call('ZCARD', queue_of(task_id, is_on_demand))
  end
end
return waiting
