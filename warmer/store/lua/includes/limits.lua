-- Named limits: how many computations that use one backend may run at once, and begin per second, in the whole fleet.
-- Each that a worker runs holds a slot, which comes back at its deadline if its holder dies. Those of readers are
-- guests: they are never held up, but count. A limit that nobody declared lets one at a time through.
-- What was read of a limit holds for the rest of the script, which has one `now`.
--
-- @keys buckets guests holders limits
-- @const MAX_OWED_BURSTS ROUNDING
local room_under, begin_under, end_under, extend_under, guests_running, take_tokens
do  -- Lua allows 200 local variables; what is not named above is seen only here
  local MOST_AT_ONCE = 1000  -- arguments of one command: Lua's stack holds few thousand
  local limit_by_name = {}

  local function declared(name)
    local is_json, limit = pcall(cjson.decode, redis.call('HGET', limits, name) or '')
    if not is_json or type(limit) ~= 'table' then return nil end
    local concurrency, rate_per_s = tonumber(limit.concurrency), tonumber(limit.rate_per_s)
    if not concurrency and not rate_per_s then return nil end
    return {concurrency = concurrency, rate_per_s = rate_per_s, reserved = tonumber(limit.reserved) or 0}
  end

  local function limit_of(name)
    if not limit_by_name[name] then
      limit_by_name[name] = declared(name) or {concurrency = 1, reserved = 0}
    end
    return limit_by_name[name]
  end

  -- Calls a command with all members, some at a time; returns the sum of its answers.
  local function sum_over(command, key, option, members)
    local sum = 0
    for first = 1, #members, MOST_AT_ONCE do
      local words = {command, key, option}
      local before, last = #words - first + 1, math.min(first + MOST_AT_ONCE - 1, #members)
      for i = first, last do words[before + i] = members[i] end
      sum = sum + redis.call(unpack(words))
    end
    return sum
  end

  local function scored(refs, deadline)
    local members, score = {}, string.format('%.0f', deadline)
    for i, ref in ipairs(refs) do members[2 * i - 1], members[2 * i] = score, ref end
    return members
  end

  -- slots ------------------------------------------------------------------------------------------------------
  function guests_running(name, now)
    local running, processes = 0, redis.call('HGETALL', guests .. name)
    for i = 1, #processes, 2 do
      local count, deadline = string.match(processes[i + 1], '^(%d+)|(%d+)')
      if deadline and tonumber(deadline) > now then
        running = running + tonumber(count)
      else
        redis.call('HDEL', guests .. name, processes[i])
      end
    end
    return running
  end

  local function slots_taken(name, limit, now)
    if not limit.taken then
      redis.call('ZREMRANGEBYSCORE', holders .. name, '-inf', now)
      limit.taken = redis.call('ZCARD', holders .. name) + guests_running(name, now)
    end
    return limit.taken
  end

  -- tokens -----------------------------------------------------------------------------------------------------
  -- What a bucket holds now: it is full at first, and fills by the rate up to a burst.
  local function tokens_left(name, limit, now)
    if not limit.tokens then
      limit.burst = math.max(1, limit.rate_per_s)
      local left, at = string.match(redis.call('HGET', buckets, name) or '', '^([^|]+)|(%d+)$')
      local filled = tonumber(left) and left + math.max(0, now - at) * limit.rate_per_s / 1000
      limit.tokens, limit.filled_at = math.min(limit.burst, filled or limit.burst), now
    end
    return limit.tokens
  end

  -- Takes tokens, be there any or not.
  function take_tokens(name, count, now)
    local limit = limit_of(name)
    if not limit.rate_per_s or count <= 0 then return end
    limit.tokens = math.max(tokens_left(name, limit, now) - count, -MAX_OWED_BURSTS * limit.burst)
    redis.call('HSET', buckets, name, string.format('%.6f|%.0f', limit.tokens, limit.filled_at))
  end

  -- Of so many whole ones, those that only critical tasks may use.
  local function kept_back(limit, whole, is_critical)
    return is_critical and 0 or math.floor(whole * limit.reserved + ROUNDING)
  end

  -- what claims do ---------------------------------------------------------------------------------------------
  -- How many computations may begin now; math.huge where nothing limits them. is_critical: true or false, no number.
  function room_under(name, is_critical, now)
    local limit, room = limit_of(name), math.huge
    local taken = slots_taken(name, limit, now)
    if limit.concurrency then
      room = limit.concurrency - taken - kept_back(limit, limit.concurrency, is_critical)
    end
    if limit.rate_per_s then
      local whole = math.floor(tokens_left(name, limit, now) + ROUNDING)
      room = math.min(room, whole - kept_back(limit, math.floor(limit.burst), is_critical))
    end
    return math.max(0, room)
  end

  -- Takes a slot until its deadline, and a token, for each ref.
  function begin_under(name, refs, deadline, now)
    if #refs == 0 then return end
    local limit = limit_of(name)
    local added = sum_over('ZADD', holders .. name, nil, scored(refs, deadline))
    if limit.taken then limit.taken = limit.taken + added end
    take_tokens(name, #refs, now)
  end

  -- Gives slots back; refs that hold none are ignored.
  function end_under(name, refs)
    local freed = sum_over('ZREM', holders .. name, nil, refs)
    local limit = limit_by_name[name]
    if limit and limit.taken then limit.taken = limit.taken - freed end
  end

  -- Extends slots that are still held.
  function extend_under(name, refs, deadline)
    sum_over('ZADD', holders .. name, 'XX', scored(refs, deadline))
  end
end
