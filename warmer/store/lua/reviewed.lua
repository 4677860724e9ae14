-- Carries decisions out: a target becomes ready, is reviewed again later, or is let go. One that was planned anew since
-- it was looked at keeps its place.
--
-- @keys brain claims ensure leader reviews
-- @const EPOCH_MS LAPSED MAX_LEAD_SHARE
-- @args token decisions
-- @rest memory
-- token: of the scheduler that leads; of another nothing is done
-- decisions: JSON list of [ref, when it was to be reviewed, when it is to be reviewed again in ms, 0 to refresh it, or
--            -1 to let it go, when it was decided in ms since 2020, flags, decision as hex]; flags -1 for no decision
-- memory: field and value, again and again, of what the brain remembers from now on
-- Returns  how many were refreshed, or -1 if another leads.
-- @include history lane lanes tasks time
if redis.call('GET', leader) ~= token then return -1 end
local now, refreshed = now_ms(), 0

local function bytes_in(hex)
  return (string.gsub(hex, '..', function(pair) return string.char(tonumber(pair, 16)) end))
end

local function remember(ref, decided, flags, decision)
  local h, place = history_of(ref)
  if not h then return nil end
  h.decided, h.decision = decided, bytes_in(decision)
  h.flags = flags % MISSED + (has_flag(h, MISSED) and MISSED or 0)  -- of decisions; reads and publications own the rest
  keep_history(h, place, now - EPOCH_MS)
  return h
end

-- A reader may have computed a value that had lapsed, or one that others were still missing when this was planned.
local function may_be_there(h, flags, ttl_ms)
  return flags % (2 * LAPSED) >= LAPSED or h ~= nil and h.fresh_until + EPOCH_MS - now > MAX_LEAD_SHARE * ttl_ms
end

for _, one in ipairs(cjson.decode(decisions)) do
  local ref, planned_at, review_at, decided, flags, decision = unpack(one)
  if tonumber(redis.call('ZSCORE', reviews, ref) or -1) == planned_at then
    local h = flags >= 0 and remember(ref, decided, flags, decision) or nil
    redis.call('ZREM', reviews, ref)
    if review_at > 0 then
      redis.call('ZADD', reviews, review_at, ref)
    elseif review_at == 0 and not (redis.call('ZSCORE', claims, ref) or standing_of(ref)) then
      local lane = lane_of(task_of(ref))
      if lane and may_be_there(h, flags, lane.ttl_ms) then redis.call('SADD', ensure, ref) end
      if make_ready(ref, planned_at, false) then refreshed = refreshed + 1 end
    end
  end
end
if #memory > 0 then redis.call('HSET', brain, unpack(memory)) end
keep_shelf()
return refreshed
