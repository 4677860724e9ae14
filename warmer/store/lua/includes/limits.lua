-- Named limits: how many computations that use one backend may run at once (slots), and begin per second (a token
-- bucket), in the whole fleet. A slot comes back at its deadline if the worker that holds it dies. Computations of readers
-- are never held up, but count. A limit that nobody declared lets one computation at a time through.
--
-- A limit is read once in a script, which has one `now`.
--
-- @keys limit_holders limits reader_usage token_buckets
-- @const MAX_OWED_BURSTS ROUNDING
local room_under, begin_under, end_under, extend_under, readers_running, take_tokens
do  -- Lua allows 200 local variables; what is not named above is seen only here
  local MAX_ARGUMENTS = 1000  -- of one command: Lua's stack holds only some thousand
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

  -- Calls a command with all members, in chunks; returns the sum of the answers.
  local function sum_over(command, key, option, members)
    local sum = 0
    for first = 1, #members, MAX_ARGUMENTS do
      local words = {command, key, option}
      local before, last = #words - first + 1, math.min(first + MAX_ARGUMENTS - 1, #members)
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
  function readers_running(name, now)
    local running, processes = 0, redis.call('HGETALL', reader_usage .. name)
    for i = 1, #processes, 2 do
      local count, deadline = string.match(processes[i + 1], '^(%d+)|(%d+)')
      if deadline and tonumber(deadline) > now then
        running = running + tonumber(count)
      else
        redis.call('HDEL', reader_usage .. name, processes[i])
      end
    end
    return running
  end

  local function calls_running(name, limit, now)
    if not limit.taken then
      redis.call('ZREMRANGEBYSCORE', limit_holders .. name, '-inf', now)
      limit.taken = redis.call('ZCARD', limit_holders .. name) + readers_running(name, now)
    end
    return limit.taken
  end

  -- tokens -----------------------------------------------------------------------------------------------------
  -- Returns what the token bucket holds now: it is full at first, and fills by the rate up to a burst.
  local function tokens_left(name, limit, now)
    if not limit.tokens then
      limit.burst = math.max(1, limit.rate_per_s)
      local left, at = string.match(redis.call('HGET', token_buckets, name) or '', '^([^|]+)|(%d+)$')
      local filled = tonumber(left) and left + math.max(0, now - at) * limit.rate_per_s / 1000
      limit.tokens, limit.filled_at = math.min(limit.burst, filled or limit.burst), now
    end
    return limit.tokens
  end

  -- Takes tokens whether there are any or not.
  function take_tokens(name, count, now)
    local limit = limit_of(name)
    if not limit.rate_per_s or count <= 0 then return end
    limit.tokens = math.max(tokens_left(name, limit, now) - count, -MAX_OWED_BURSTS * limit.burst)
    redis.call('HSET', token_buckets, name, string.format('%.6f|%.0f', limit.tokens, limit.filled_at))
  end

  -- Returns how many of so many whole slots or tokens only critical tasks may use.
  local function reserved_of(limit, whole, is_critical)
    return is_critical and 0 or math.floor(whole * limit.reserved + ROUNDING)
  end

  -- what claims do ---------------------------------------------------------------------------------------------
  -- Returns how many computations may begin now; math.huge where nothing limits them, as without a limit (name "").
  function room_under(name, is_critical, now)
    if name == '' then return math.huge end
    local limit, room = limit_of(name), math.huge
    local taken = calls_running(name, limit, now)
    if limit.concurrency then
      room = limit.concurrency - taken - reserved_of(limit, limit.concurrency, is_critical)
    end
    if limit.rate_per_s then
      local whole = math.floor(tokens_left(name, limit, now) + ROUNDING)
      room = math.min(room, whole - reserved_of(limit, math.floor(limit.burst), is_critical))
    end
    return math.max(0, room)
  end

  -- Takes a slot until its deadline and a token for each ref.
  function begin_under(name, refs, deadline, now)
    if #refs == 0 then return end
    local limit = limit_of(name)
    local added = sum_over('ZADD', limit_holders .. name, nil, scored(refs, deadline))
    if limit.taken then limit.taken = limit.taken + added end
    take_tokens(name, #refs, now)
  end

  -- Gives slots back; refs that hold none are ignored.
  function end_under(name, refs)
    local freed = sum_over('ZREM', limit_holders .. name, nil, refs)
    local limit = limit_by_name[name]
    if limit and limit.taken then limit.taken = limit.taken - freed end
  end

  -- Extends slots that are still held.
  function extend_under(name, refs, deadline)
    sum_over('ZADD', limit_holders .. name, 'XX', scored(refs, deadline))
  end
end
