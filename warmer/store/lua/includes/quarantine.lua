-- Targets that kill the process which computes them. A process that died had other targets in it, too, so all of them
-- are only suspects; who is computed alone and kills that process as well is known to be the one.
--
-- @keys failures quarantine suspects
-- @include lanes tasks time
local MOST_DEATHS, MOST_TARGETS_OF_A_TASK, MOST_BY_SUSPICION = 3, 3, 2

-- Whoever ran in a process that died may have killed it; suspicion alone never quarantines anybody.
local function suspect(ref)
  local deaths = tonumber(redis.call('HGET', suspects, ref) or 0)
  if deaths < MOST_BY_SUSPICION then redis.call('HSET', suspects, ref, deaths + 1) end
end

local function lock_up(name, deaths, why, now_locked)
  redis.call('HSET', quarantine, name, cjson.encode({since_ms = now_ms(), deaths = deaths, why = why}))
  some_are_quarantined = true
  table.insert(now_locked, name)
end

-- A target has killed a process of its own; true when it is quarantined now. A task some of whose targets are, is, too.
local function suspect_exactly(ref, why, now_locked)
  local deaths = redis.call('HINCRBY', suspects, ref, 1)
  if deaths < MOST_DEATHS then return false end
  redis.call('HDEL', suspects, ref)
  redis.call('HDEL', failures, ref)
  lock_up(ref, deaths, why, now_locked)
  local task_id, others = task_of(ref), 0
  for _, name in ipairs(redis.call('HKEYS', quarantine)) do
    if name ~= task_id and task_of(name) == task_id then others = others + 1 end
  end
  if others >= MOST_TARGETS_OF_A_TASK and redis.call('HEXISTS', quarantine, task_id) == 0 then
    lock_up(task_id, deaths, why, now_locked)
  end
  return true
end

-- Lets a task, with all its targets, or one target go; returns those that were quarantined.
local function release_quarantined(name)
  local released = {}
  for _, locked in ipairs(redis.call('HKEYS', quarantine)) do
    if locked == name or task_of(locked) == name then
      redis.call('HDEL', quarantine, locked)
      redis.call('HDEL', suspects, locked)
      released[#released + 1] = locked
    end
  end
  some_are_quarantined = nil
  return released
end
