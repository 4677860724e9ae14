-- Why reads missed.
--
-- @keys failures switch
-- @const TO_REFRESH
-- @include history
local switched = cjson.decode(redis.call('GET', switch) or '{}')
local cause_of_miss, is_kept_warm
do  -- Lua allows 200 local variables; what is not named above is seen only here
  local SURELY = 7 / 8  -- part of a ttl before the end of freshness in which a value was surely there
  local some_failed = redis.call('HLEN', failures) > 0

  -- Returns whether a target is refreshed whatever its reads.
  function is_kept_warm(spec)
    return spec.account == 'n' and switched.critical
  end

  -- Returns the cause: `evicted` (the value should be there: it was invalidated or evicted), `first` (nothing had been
  -- cached), `disabled` (warming was off), `failing` (computing it failed), `not_worth_it` (a refresh was not worth its
  -- cost) or `late` (one was, or nobody had decided, and it was not done in time).
  --
  -- A miss is often flushed after the value that it waited for has been published; the second answer says that.
  function cause_of_miss(ref, h, spec, first, last)
    if not h or h.fresh_until == 0 then return 'first' end
    local surely_from = h.fresh_until - SURELY * spec.ttl_ms
    local has_waited = last < h.fresh_until
    if has_waited and first > surely_from + 1000 * seconds_of(h.cost) then return 'evicted' end
    if has_waited and h.sessions_1024 <= 1 then return 'first', true end
    if not (switched.on and (switched.pattern or is_kept_warm(spec))) then return 'disabled', has_waited end
    if some_failed and redis.call('HEXISTS', failures, ref) == 1 then return 'failing', has_waited end
    local is_decided = h.decided > 0 and (has_waited or h.decided > surely_from)
    if not is_kept_warm(spec) and is_decided and not has_flag(h, TO_REFRESH) then return 'not_worth_it', has_waited end
    return 'late', has_waited
  end
end
