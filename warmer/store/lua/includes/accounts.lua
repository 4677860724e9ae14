-- What is known of a task in figures goes with it: its counters, its account, and the price of a refresh under its knob.
--
-- @keys accounts brain stats task_durations
-- @const ACCOUNT_FIELDS
local function forget_figures(task_id)
  redis.call('DEL', stats .. task_id, task_durations .. task_id)
  for _, field in ipairs(ACCOUNT_FIELDS) do redis.call('HDEL', accounts, task_id .. '|' .. field) end
  redis.call('HDEL', brain, 'price:' .. task_id)
end
