-- Quarantine of targets that kill the process which computes them.
--
-- All targets that a process was computing when it died are suspects. A suspect is computed alone next time; if that
-- process dies too, the target is known to have killed it.
--
-- @keys crash_suspects failures quarantine
-- @include tasks time
local MAX_DEATHS, MAX_TARGETS_OF_A_TASK, MAX_DEATHS_BY_SUSPICION = 3, 3, 2

local some_are_quarantined
local function some_are_in_quarantine()
  if some_are_quarantined == nil then some_are_quarantined = redis.call('HLEN', quarantine) > 0 end
  return some_are_quarantined
end

local function is_quarantined(ref)
  if not some_are_in_quarantine() then return false end
  return redis.call('HEXISTS', quarantine, ref) == 1 or redis.call('HEXISTS', quarantine, task_of(ref)) == 1
end

-- Counts a death of a process that was computing the target; suspicion alone never quarantines it.
local function suspect(ref)
  local deaths = tonumber(redis.call('HGET', crash_suspects, ref) or 0)
  if deaths < MAX_DEATHS_BY_SUSPICION then redis.call('HSET', crash_suspects, ref, deaths + 1) end
end

local function put_in_quarantine(name, deaths, why, newly_quarantined)
  redis.call('HSET', quarantine, name, cjson.encode({since_ms = now_ms(), deaths = deaths, why = why}))
  some_are_quarantined = true
  table.insert(newly_quarantined, name)
end

-- Counts a death that the target caused; returns true when it is in quarantine now. A task with too many quarantined
-- targets is quarantined as a whole.
local function blame(ref, why, newly_quarantined)
  local deaths = redis.call('HINCRBY', crash_suspects, ref, 1)
  if deaths < MAX_DEATHS then return false end
  redis.call('HDEL', crash_suspects, ref)
  redis.call('HDEL', failures, ref)
  put_in_quarantine(ref, deaths, why, newly_quarantined)
  local task_id, others = task_of(ref), 0
  for _, name in ipairs(redis.call('HKEYS', quarantine)) do
    if name ~= task_id and task_of(name) == task_id then others = others + 1 end
  end
  if others >= MAX_TARGETS_OF_A_TASK and redis.call('HEXISTS', quarantine, task_id) == 0 then
    put_in_quarantine(task_id, deaths, why, newly_quarantined)
  end
  return true
end

-- Releases a task, with all its targets, or one target; returns what had been quarantined.
local function release_quarantined(name)
  local released = {}
  for _, quarantined in ipairs(redis.call('HKEYS', quarantine)) do
    if quarantined == name or task_of(quarantined) == name then
      redis.call('HDEL', quarantine, quarantined)
      redis.call('HDEL', crash_suspects, quarantined)
      released[#released + 1] = quarantined
    end
  end
  some_are_quarantined = nil
  return released
end
