-- How many targets wait in the lanes.
--
-- @keys asked ready rota rotas
-- Returns  the number.
local waiting = 0
for _, name in ipairs(redis.call('SMEMBERS', rotas)) do
  local members = string.sub(name, 1, 1) == 'a' and asked or ready
  for _, task_id in ipairs(redis.call('ZRANGE', rota .. name, 0, -1)) do
    waiting = waiting + redis.call('ZCARD', members .. task_id)
  end
end
return waiting
