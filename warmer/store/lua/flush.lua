-- Takes in a batch of counted reads: into the histories of targets, their heat, and the statistics. A batch that is
-- sent twice counts once.
--
-- @keys claims due flush_numbers heat heat_landmark on_demand_queue owners reviews scheduled_queue unjudged_refreshes
-- @settings history_capacity heat_half_life_ms heat_capacity
-- @const EPOCH_MS REVIEWS_MARGIN
-- @args reader number:number reads
-- reader: id of the sending process
-- number: of this batch, counting up
-- reads: JSON list of [ref, cache key, hits, misses, [computed_at of warm values whose read was useful], stale hits, first
--        read in ms, last read in ms]; ref is empty where only the key is known, and moments are 0 for now
-- Returns  1, or 0 if this batch was taken in before.
-- @include heat history miss_causes recording statistics task_spec tasks time
local now, MAX_EXPONENT, FLUSH_TTL_S = now_ms(), 500, 3600
local NOTICE_MS = 5000     -- a reader that computes a miss reports it within this time, and then plans the next refresh
local LONG_BATCH = 1 / 16  -- part of a ttl from which on a batch counts as two, its first read and the others

if tonumber(redis.call('GET', flush_numbers .. reader) or 0) >= number then return 0 end
redis.call('SET', flush_numbers .. reader, number, 'EX', FLUSH_TTL_S)

-- heat -------------------------------------------------------------------------------------------------------
local function heat_of_a_read()
  local landmark_ms = tonumber(redis.call('GET', heat_landmark))
  if not landmark_ms then
    landmark_ms = now
    redis.call('SET', heat_landmark, now)
  elseif (now - landmark_ms) / heat_half_life_ms > MAX_EXPONENT then
    redis.call('ZUNIONSTORE', heat, 1, heat, 'WEIGHTS', decayed(1, landmark_ms, now, heat_half_life_ms))
    landmark_ms = now
    redis.call('SET', heat_landmark, now)
  end
  return 2 ^ ((now - landmark_ms) / heat_half_life_ms)
end

-- reviews ----------------------------------------------------------------------------------------------------
-- A target that is missed and has no place is to be reviewed. A reader that computes the miss plans that itself.
local function have_it_reviewed(ref, spec)
  if not switched.on or spec.account == 'n' then return end
  local task_id = task_of(ref)
  if redis.call('ZSCORE', due, ref) or redis.call('ZSCORE', claims, ref)
    or redis.call('ZSCORE', scheduled_queue .. task_id, ref)
    or redis.call('ZSCORE', on_demand_queue .. task_id, ref) then return end
  redis.call('ZADD', reviews, 'LT', now + NOTICE_MS, ref)
end

-- There are no more reviews than histories, even where nobody computes what is missed: the farthest go first.
local function trim_reviews()
  redis.call('ZREMRANGEBYRANK', reviews, math.floor(REVIEWS_MARGIN * history_capacity), -1)
end

-- reads ------------------------------------------------------------------------------------------------------
-- Returns what the computations of a plain ttl cache, the baseline, would have cost. The cost of the first one is not known
-- yet: `complete` adds it, unless there was a value already that was computed before the first read; then the task's mean
-- has to do.
local function baseline_cost_ms(h, ref, baseline_misses, hits, misses)
  if h.cost == 0 and hits > 0 and misses == 0 then set_cost(h, cost_ms_of(h, ref) / 1000) end
  return baseline_misses * 1000 * seconds_of(h.cost)
end

-- Returns whether misses began a computation: those that wait for one that others began do not.
local function begins(h, has_waited, baseline_misses)
  if baseline_misses == 0 and (has_waited or has_flag(h, MISSED)) then return false end
  if not has_flag(h, MISSED) then h.flags = h.flags + MISSED end
  return true
end

local function moments_of(read)
  local first_ms, last_ms = read[7], read[8]
  first_ms = first_ms and first_ms > 0 and math.min(first_ms, now) or now
  return first_ms, last_ms and last_ms > 0 and math.min(last_ms, now) or now
end

-- A value that was warmed before its first read is fresh at least until it is reviewed.
local function first_history(ref, hits)
  local h = no_history()
  local review_at = hits > 0 and tonumber(redis.call('ZSCORE', reviews, ref) or 0) or 0
  h.fresh_until = math.max(0, review_at - EPOCH_MS)
  return h
end

-- Takes reads into a history; returns how many of them a plain ttl cache would have missed.
local function take_batch(h, reads_in_batch, first, last, ttl_ms)
  local baseline_misses = 0
  if reads_in_batch > 1 and last - first > LONG_BATCH * ttl_ms then
    if take_reads(h, first, 1, ttl_ms) then baseline_misses = 1 end
    reads_in_batch = reads_in_batch - 1
  end
  if take_reads(h, last, reads_in_batch, ttl_ms) then baseline_misses = baseline_misses + 1 end
  return baseline_misses
end

local function remember(ref, spec, read)
  local hits, misses, first_ms, last_ms = read[3], read[4], moments_of(read)
  local task_id, first, last = task_of(ref), first_ms - EPOCH_MS, last_ms - EPOCH_MS
  local h, place = history_of(ref)
  local cause, has_waited
  if misses > 0 then
    cause, has_waited = cause_of_miss(ref, h, spec, first, last)
    add(task_id, 'misses_' .. cause, misses)
    if not has_waited then have_it_reviewed(ref, spec) end
  end
  h = h or first_history(ref, hits)
  local baseline_misses = take_batch(h, hits + misses, first, last, spec.ttl_ms)
  if misses > 0 and begins(h, has_waited, baseline_misses) then add_and_charge(task_id, 'awaited', 1) end
  local baseline_ms = baseline_misses > 0 and baseline_cost_ms(h, ref, baseline_misses, hits, misses)
  keep_history(h, place, now - EPOCH_MS)
  charge(task_id, 'reads', hits + misses)
  charge(task_id, 'misses', misses)
  if baseline_ms then
    add_and_charge(task_id, 'baseline_misses', baseline_misses)
    add_and_charge(task_id, 'baseline_ms', baseline_ms)
  end
  return h
end

-- Counts refreshes whose values were read.
local function credit(ref, h, useful)
  for _, computed_at in ipairs(useful) do
    if redis.call('ZREM', unjudged_refreshes, computed_at .. ':' .. ref) == 1 then
      add(task_of(ref), 'useful', 1)
      add(task_of(ref), 'saved_ms', cost_ms_of(h, ref))
    end
  end
end

local heat_per_read = heat_of_a_read()
for _, read in ipairs(cjson.decode(reads)) do
  local ref = read[1] ~= '' and read[1] or redis.call('HGET', owners, read[2]) or ''
  local task_id = task_of(ref)
  local spec = spec_of(task_id)
  add(task_id, 'hits', read[3])
  add(task_id, 'misses', read[4])
  add(task_id, 'stale_hits', read[6])
  if spec then
    redis.call('ZINCRBY', heat, (read[3] + read[4]) * heat_per_read, ref)
    local h = remember(ref, spec, read)
    credit(ref, h, read[5])
    record_reads(ref, h, read[3] + read[4], moments_of(read))
  else
    add(task_id, 'untracked_reads', read[3] + read[4])
    add(task_id, 'misses_untracked', read[4])
  end
end

local overflow = redis.call('ZCARD', heat) - heat_capacity
if overflow > 0 then redis.call('ZREMRANGEBYRANK', heat, 0, overflow - 1) end
keep_history_meta()
trim_reviews()
write_statistics()
return 1
