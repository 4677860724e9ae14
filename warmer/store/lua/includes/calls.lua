-- Calls: one call computes one target, or the targets of a batch.
--
-- @keys crash_suspects failures
local calls_of, without_rest
do  -- Lua allows 200 local variables; what is not named above is seen only here
  local function fields_in(hash, refs)
    if redis.call('HLEN', hash) == 0 then return {} end
    return redis.call('HMGET', hash, unpack(refs))
  end

  -- Leaves out the rest of a last batch that is not full if it may still wait for more.
  function without_rest(found, spec, may_wait)
    local rest = (#found / 2) % spec.batch_size
    if spec.batch_size == 1 or rest == 0 then return found end
    local first = #found / 2 - rest + 1
    if not may_wait(tonumber(found[2 * first])) then return found end
    return {unpack(found, 1, 2 * (first - 1))}
  end

  -- Divides targets, a flat list of refs and since when they are ready, into at most so many calls; the others are left.
  -- A target that has failed, or was being computed when a process died, gets a call of its own.
  function calls_of(found, spec, max_calls)
    local refs, since = {}, {}
    for i = 1, #found, 2 do
      refs[#refs + 1], since[#since + 1] = found[i], tonumber(found[i + 1])
    end
    local failed, deaths = fields_in(failures, refs), fields_in(crash_suspects, refs)
    local taken, calls, batch = {refs = {}, since = {}, failures = {}, deaths = {}}, {}, nil
    for i, ref in ipairs(refs) do
      local failures_before, deaths_before = tonumber(failed[i] or 0) or 0, tonumber(deaths[i] or 0) or 0
      local is_alone = spec.batch_size == 1 or failures_before > 0 or deaths_before > 0
      local call = not is_alone and batch and #batch < spec.batch_size and batch or {}
      if #call == 0 then
        if #calls == max_calls then break end
        calls[#calls + 1] = call
      end
      call[#call + 1] = ref
      if not is_alone then batch = call end
      local n = #taken.refs + 1
      taken.refs[n], taken.since[n] = ref, since[i]
      taken.failures[n], taken.deaths[n] = failures_before, deaths_before
    end
    return taken, calls
  end
end
