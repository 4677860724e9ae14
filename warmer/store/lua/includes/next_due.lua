-- When each target is due or reviewed next. Moments are collected here and written once, at the end of a script.
--
-- @keys due reviews
-- @settings history_capacity
-- @const REVIEWS_MARGIN
-- @include chunks history
local due_next, review_next = {}, {}
local some_are_reviewed = redis.call('ZCARD', reviews) > 0

-- due_kind, due_at: "at" ms since the epoch, "in" ms from now, "never"; "review" and "review_in" are the same for the
-- moment at which it is decided whether the target is refreshed.
local function plan_next(ref, due_kind, due_at, now)
  if due_kind == 'never' then
    redis.call('ZREM', due, ref)
    redis.call('ZREM', reviews, ref)
    return
  end
  local is_reviewed = due_kind == 'review' or due_kind == 'review_in'
  local planned = is_reviewed and review_next or due_next
  table.insert(planned, (due_kind == 'in' or due_kind == 'review_in') and now + due_at or due_at)
  table.insert(planned, ref)
  if is_reviewed then redis.call('ZREM', due, ref) elseif some_are_reviewed then redis.call('ZREM', reviews, ref) end
end

-- There are no more reviews than histories: those of targets that were forgotten go first, then the farthest.
local function bound_reviews()
  if redis.call('ZCARD', reviews) <= history_capacity then return end
  for _, ref in ipairs(redis.call('ZRANDMEMBER', reviews, math.min(200, #review_next))) do
    if not history_of(ref) then redis.call('ZREM', reviews, ref) end
  end
  redis.call('ZREMRANGEBYRANK', reviews, math.floor(REVIEWS_MARGIN * history_capacity), -1)
end

local function write_next_due()
  call_with('ZADD', due, due_next)
  call_with('ZADD', reviews, review_next)
  bound_reviews()
end
