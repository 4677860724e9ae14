-- Carries out decisions on reviewed targets: a target becomes ready, is reviewed again later, or is left to expire. One that
-- was planned again since it was reviewed keeps its place.
--
-- @keys claims fresh_ok leader policy_state reviews
-- @const EPOCH_MS LAPSED MAX_LEAD_SHARE
-- @args token decisions
-- @rest new_state
-- token: of the scheduler that leads; nothing is done for another one
-- decisions: JSON list of [ref, when it was to be reviewed, when it is to be reviewed again in ms, 0 to refresh it, or
--            -1 to leave it to expire, when it was decided in ms since 2020, flags, decision as hex]; flags -1 for no decision
-- new_state: fields and values of the policy's state that change
-- Returns  how many were refreshed, or -1 if another leads.
-- @include history ready_queues task_spec tasks time
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

-- A reader may have computed a value that had expired, or one that others were still missing when this was planned.
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
    elseif review_at == 0 and not (redis.call('ZSCORE', claims, ref) or ready_since(ref)) then
      local spec = spec_of(task_of(ref))
      if spec and may_be_there(h, flags, spec.ttl_ms) then redis.call('SADD', fresh_ok, ref) end
      if make_ready(ref, planned_at, false) then refreshed = refreshed + 1 end
    end
  end
end
if #new_state > 0 then redis.call('HSET', policy_state, unpack(new_state)) end
keep_history_meta()
return refreshed
