-- Asks for targets to be warmed now, whether warming is on or off. One that is claimed already is not computed twice
-- at once: its outcome will do, unless a new computation is forced; then it is refreshed once more afterwards.
--
-- @keys again claims definitions due ensure flow forced reviews tokens watchers
-- @settings backlog_capacity
-- @args mode watcher watch_s
-- @rest refs
-- mode: "force" or "ensure"
-- watcher: id of the one who waits for watch_s seconds, or ""
-- Returns  for each ref "asked", "disabled", "unknown", "quarantined" or "full"
-- @include flags lane lanes tasks time
local force, now, answers = mode == 'force', now_ms(), {}
local room = backlog_capacity - tonumber(redis.call('HGET', flow, 'asked') or 0)

-- Whoever takes a request back later must see whether others want the target, too.
local function watch(ref, is_asked, is_ready, is_due, is_reviewed)
  local is_watched = redis.call('EXISTS', watchers .. ref) == 1
  if is_ready or is_due then
    local needs_new = redis.call('SISMEMBER', forced, ref) == 1
      or (is_ready and redis.call('SISMEMBER', ensure, ref) == 0)
    redis.call('SADD', watchers .. ref, needs_new and ITS_RENEWAL or ITS_SCHEDULE)
  elseif is_reviewed then
    redis.call('SADD', watchers .. ref, ITS_REVIEW)
  end
  if (watcher == '' and is_watched) or (watcher ~= '' and is_asked and not is_watched) then
    redis.call('SADD', watchers .. ref, SOMEBODY)
  end
  if watcher == '' then return end
  redis.call('SADD', watchers .. ref, watcher)
  redis.call('EXPIRE', watchers .. ref, watch_s, 'NX')
  redis.call('EXPIRE', watchers .. ref, watch_s, 'GT')
end

-- A fresh value does for what was asked for, and for what is due only where it is said: what it was due for stays.
local function keep_what_it_is_for(ref)
  if redis.call('SREM', ensure, ref) == 0 then redis.call('SADD', forced, ref) end
end

-- The one who has claimed it will tell how it went.
local function ask_claimed(ref)
  local before, flag, after = string.match(redis.call('HGET', tokens, ref) or '', '^([^|]*|%-?%d+|)(%a)(|.*)$')
  if flag == 's' then
    redis.call('HSET', tokens, ref, before .. 'a' .. after)
    keep_what_it_is_for(ref)
  end
  if force then redis.call('SADD', again, ref) end
end

local function ask(ref, since, is_asked)
  if force then
    redis.call('SREM', ensure, ref)
    redis.call('SADD', forced, ref)
  elseif since and not is_asked then
    keep_what_it_is_for(ref)
  end
  if is_asked then
    if force then make_ready(ref, now, true) end
    return
  end
  leave_lane(ref)
  make_ready(ref, force and now or since or now, true)
  room = room - 1
end

local function answer(ref)
  local task_id = task_of(ref)
  if not lane_of(task_id) then
    return redis.call('HEXISTS', definitions, task_id) == 1 and 'disabled' or 'unknown'
  end
  if is_quarantined(ref) then return 'quarantined' end
  if redis.call('ZSCORE', claims, ref) then
    watch(ref, false, false, false, false)
    ask_claimed(ref)
    return 'asked'
  end
  local since, is_asked = standing_of(ref)
  if room <= 0 and not is_asked then return 'full' end
  if watcher ~= '' or is_asked then
    watch(ref, is_asked, since and not is_asked, redis.call('ZSCORE', due, ref), redis.call('ZSCORE', reviews, ref))
  end
  ask(ref, since, is_asked)
  return 'asked'
end

for i, ref in ipairs(refs) do answers[i] = answer(ref) end
return answers
