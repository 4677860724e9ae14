-- What is ready stands in lanes: one for each task, and one more for what was asked for by hand. Lanes whose targets
-- need the same (a thread, an event loop or a process; a limit; its reserve) take turns in one rota: strictly by
-- priority, and one after the other within a priority.
--
-- @keys ages asked due flow quarantine ready reviews rota rotas
-- @include flags lane tasks
local TURNS = 2 ^ 40  -- |priority| <= 2^12 and a turn fit into the 53 exact bits of a score

local function rota_of(lane, is_asked)
  return (is_asked and 'a' or 's') .. lane.needs
end

-- What a rota's lanes need: whether they are asked for by hand, whether they are critical, the kind, and the limit.
local function needs_of(name)
  return string.sub(name, 1, 1) == 'a', string.sub(name, 2, 2) == 'c', string.sub(name, 3, 3), string.sub(name, 5)
end

local function members_of(task_id, is_asked)
  return (is_asked and asked or ready) .. task_id
end

local turn_now
local function next_turn()
  turn_now = (turn_now or tonumber(redis.call('HGET', flow, 'turn') or 0)) + 1
  redis.call('HSET', flow, 'turn', turn_now)
  return turn_now
end

local function score_of(priority, turn)
  return -priority * TURNS + turn
end

local function priority_of(score)
  return -math.floor(score / TURNS)
end

-- A lane with something in it takes its place in the rota; one that stands there already keeps it.
local entered = {}
local function enter_rota(task_id, lane, is_asked, since)
  local name = rota_of(lane, is_asked)
  local place = name .. ' ' .. task_id
  if entered[place] and entered[place] <= since then return end
  entered[place] = since
  redis.call('SADD', rotas, name)
  if redis.call('ZADD', rota .. name, 'NX', score_of(lane.priority, 0), task_id) == 1 then
    redis.call('ZADD', rota .. name, score_of(lane.priority, next_turn()), task_id)
  end
  redis.call('ZADD', ages .. name, 'LT', since, task_id)
end

local function leave_rota(task_id, name)
  entered[name .. ' ' .. task_id] = nil
  redis.call('ZREM', rota .. name, task_id)
  redis.call('ZREM', ages .. name, task_id)
  if redis.call('EXISTS', rota .. name) == 0 then redis.call('SREM', rotas, name) end
end

local some_are_quarantined
local function some_are_in_quarantine()
  if some_are_quarantined == nil then some_are_quarantined = redis.call('HLEN', quarantine) > 0 end
  return some_are_quarantined
end

local function is_quarantined(ref)
  if not some_are_in_quarantine() then return false end
  return redis.call('HEXISTS', quarantine, ref) == 1 or redis.call('HEXISTS', quarantine, task_of(ref)) == 1
end

local function count_asked(by)
  if by ~= 0 then redis.call('HINCRBY', flow, 'asked', by) end
end

-- Moves a target into its lane; false when its task is gone, or it is quarantined.
local function make_ready(ref, since, is_asked)
  redis.call('ZREM', due, ref)
  redis.call('ZREM', reviews, ref)
  local task_id = task_of(ref)
  local lane = lane_of(task_id)
  if not lane or is_quarantined(ref) then return false end
  local added = redis.call('ZADD', members_of(task_id, is_asked), since, ref)
  if is_asked then count_asked(added) end
  enter_rota(task_id, lane, is_asked, since)
  return true
end

-- Since when a target is ready, and whether it was asked for by hand; nil when it is not ready.
local function standing_of(ref)
  local task_id = task_of(ref)
  local since = redis.call('ZSCORE', asked .. task_id, ref)
  if since then return tonumber(since), true end
  since = redis.call('ZSCORE', ready .. task_id, ref)
  if since then return tonumber(since), false end
  return nil
end

local function leave_lane(ref)
  local task_id = task_of(ref)
  redis.call('ZREM', ready .. task_id, ref)
  count_asked(-redis.call('ZREM', asked .. task_id, ref))
end

-- Targets that are due move into their lanes, those that waited longest first; returns how many were due, and how many
-- of them have moved.
local function move_due(now, limit)
  local found, moved = redis.call('ZRANGE', due, '-inf', now, 'BYSCORE', 'LIMIT', 0, limit, 'WITHSCORES'), 0
  for i = 1, #found, 2 do
    if make_ready(found[i], tonumber(found[i + 1]), false) then
      moved = moved + 1
    elseif not lane_of(task_of(found[i])) then
      forget(found[i])
    end
  end
  return #found / 2, moved
end
