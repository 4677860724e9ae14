-- Takes in a batch of counted reads: into the histories of targets, their heat, and the statistics. A batch that is
-- sent twice counts once.
--
-- @keys asked claims due failures flushes heat landmark owners ready reviews switch verdicts
-- @settings history_capacity heat_half_life_ms heat_capacity
-- @const EPOCH_MS REVIEWS_MARGIN TO_REFRESH
-- @args reader number:number reads
-- reader: id of the sending process
-- number: of this flush, counting up
-- reads: as JSON, [[ref, cache key, hits, misses, [computed_at of warm values whose read was useful], stale hits,
--        first read in ms, last read in ms], ...] with an empty ref where only the key is known, and 0 for now
-- Returns  1, or 0 if this flush was taken in before.
-- @include costs heat history lane recording sums tasks time
local now, LARGEST_EXPONENT = now_ms(), 500
local NOTICE_MS = 5000     -- a reader that computes a miss says so within this time, and then plans the next refresh
local LONG_BATCH = 1 / 16  -- part of a ttl from which on a batch counts as two, its first read and the others
local SURELY = 7 / 8       -- part of a ttl before the end of freshness in which a value was surely there

if tonumber(redis.call('GET', flushes .. reader) or 0) >= number then return 0 end
redis.call('SET', flushes .. reader, number, 'EX', 3600)

-- heat -------------------------------------------------------------------------------------------------------
local landmark_ms = tonumber(redis.call('GET', landmark))
if not landmark_ms then
  landmark_ms = now
  redis.call('SET', landmark, now)
elseif (now - landmark_ms) / heat_half_life_ms > LARGEST_EXPONENT then
  redis.call('ZUNIONSTORE', heat, 1, heat, 'WEIGHTS', decayed(1, landmark_ms, now, heat_half_life_ms))
  landmark_ms = now
  redis.call('SET', landmark, now)
end
local weight = 2 ^ ((now - landmark_ms) / heat_half_life_ms)

-- misses by cause --------------------------------------------------------------------------------------------
local switched = cjson.decode(redis.call('GET', switch) or '{}')
local on = switched.on
local some_failed = redis.call('HLEN', failures) > 0

-- Whether a target is refreshed whatever its reads.
local function is_kept_warm(lane)
  return lane.account == 'n' and switched.critical
end

-- Why a read missed: `lost` (its value should be there: it was invalidated or evicted), `first` (nothing had been
-- cached), `off` (warming was), `failing` (computing it did), `lapsed` (a refresh was not worth it) or `late` (one was,
-- or nobody had decided, and it was not done in time).
--
-- A miss is often heard of when the value it waited for has been published already; the second answer says that.
local function cause_of_miss(ref, h, lane, first, last)
  if not h or h.fresh_until == 0 then return 'first' end
  local surely_from = h.fresh_until - SURELY * lane.ttl_ms
  local has_waited = last < h.fresh_until
  if has_waited and first > surely_from + 1000 * seconds_of(h.cost) then return 'lost' end
  if has_waited and h.sessions_1024 <= 1 then return 'first', true end
  if not (on and (switched.pattern or is_kept_warm(lane))) then return 'off', has_waited end
  if some_failed and redis.call('HEXISTS', failures, ref) == 1 then return 'failing', has_waited end
  local is_decided = h.decided > 0 and (has_waited or h.decided > surely_from)
  if not is_kept_warm(lane) and is_decided and not has_flag(h, TO_REFRESH) then return 'lapsed', has_waited end
  return 'late', has_waited
end

-- A target that is missed, and stands nowhere, is to be looked at; whoever computes the miss plans that himself.
local function have_it_reviewed(ref, lane)
  if not on or lane.account == 'n' then return end
  local task_id = task_of(ref)
  if redis.call('ZSCORE', due, ref) or redis.call('ZSCORE', claims, ref) or redis.call('ZSCORE', ready .. task_id, ref)
    or redis.call('ZSCORE', asked .. task_id, ref) then return end
  redis.call('ZADD', reviews, 'LT', now + NOTICE_MS, ref)
end

-- reads ------------------------------------------------------------------------------------------------------
-- What the computations of shadow misses would have cost. The first one's cost is not known yet: `complete` adds it,
-- unless there was a value already, computed when nothing was remembered of its target; then the task's mean has to do.
local function shadow_cost_ms(h, ref, shadow_misses, hits, misses)
  if h.cost == 0 and hits > 0 and misses == 0 then set_cost(h, cost_ms_of(h, ref) / 1000) end
  return shadow_misses * 1000 * seconds_of(h.cost)
end

-- Whether misses began a computation: those who wait for one that others began do not.
local function begins(h, has_waited, shadow_misses)
  if shadow_misses == 0 and (has_waited or has_flag(h, MISSED)) then return false end
  if not has_flag(h, MISSED) then h.flags = h.flags + MISSED end
  return true
end

local function moments_of(read)
  local first_ms, last_ms = read[7], read[8]
  first_ms = first_ms and first_ms > 0 and math.min(first_ms, now) or now
  return first_ms, last_ms and last_ms > 0 and math.min(last_ms, now) or now
end

-- What was warmed before its first read is fresh at least until it is reviewed.
local function first_history(ref, hits)
  local h = no_history()
  local review_at = hits > 0 and tonumber(redis.call('ZSCORE', reviews, ref) or 0) or 0
  h.fresh_until = math.max(0, review_at - EPOCH_MS)
  return h
end

local function remember(ref, lane, read)
  local hits, misses, first_ms, last_ms = read[3], read[4], moments_of(read)
  local task_id, first, last = task_of(ref), first_ms - EPOCH_MS, last_ms - EPOCH_MS
  local h, place = history_of(ref)
  local cause, has_waited
  if misses > 0 then
    cause, has_waited = cause_of_miss(ref, h, lane, first, last)
    add(task_id, 'misses_' .. cause, misses)
    if not has_waited then have_it_reviewed(ref, lane) end
  end
  h = h or first_history(ref, hits)
  local shadow_misses, count = 0, hits + misses
  if count > 1 and last - first > LONG_BATCH * lane.ttl_ms then
    if take_reads(h, first, 1, lane.ttl_ms) then shadow_misses = 1 end
    count = count - 1
  end
  if take_reads(h, last, count, lane.ttl_ms) then shadow_misses = shadow_misses + 1 end
  if misses > 0 and begins(h, has_waited, shadow_misses) then add_and_charge(task_id, 'awaited', 1) end
  local cost_ms = shadow_misses > 0 and shadow_cost_ms(h, ref, shadow_misses, hits, misses)
  keep_history(h, place, now - EPOCH_MS)
  charge(task_id, 'reads', hits + misses)
  charge(task_id, 'misses', misses)
  if cost_ms then
    add_and_charge(task_id, 'shadow_misses', shadow_misses)
    add_and_charge(task_id, 'shadow_ms', cost_ms)
  end
  return h
end

local function credit(ref, h, useful)
  for _, computed_at in ipairs(useful) do
    if redis.call('ZREM', verdicts, computed_at .. ':' .. ref) == 1 then
      add(task_of(ref), 'useful', 1)
      add(task_of(ref), 'saved_ms', cost_ms_of(h, ref))
    end
  end
end

for _, read in ipairs(cjson.decode(reads)) do
  local ref = read[1] ~= '' and read[1] or redis.call('HGET', owners, read[2]) or ''
  local task_id = task_of(ref)
  local lane = lane_of(task_id)
  add(task_id, 'hits', read[3])
  add(task_id, 'misses', read[4])
  add(task_id, 'stale_hits', read[6])
  if lane then
    redis.call('ZINCRBY', heat, (read[3] + read[4]) * weight, ref)
    local h = remember(ref, lane, read)
    credit(ref, h, read[5])
    record_reads(ref, h, read[3] + read[4], moments_of(read))
  else
    add(task_id, 'taskless_reads', read[3] + read[4])
    add(task_id, 'misses_taskless', read[4])
  end
end

local overflow = redis.call('ZCARD', heat) - heat_capacity
if overflow > 0 then redis.call('ZREMRANGEBYRANK', heat, 0, overflow - 1) end
keep_shelf()
-- Reviews stay within what can be remembered, even where nobody computes what is missed: the farthest go first.
redis.call('ZREMRANGEBYRANK', reviews, math.floor(REVIEWS_MARGIN * history_capacity), -1)
write_all_sums()
return 1
