-- Takes in a report of what the readers of one process compute under limits; they are never held up, but count. A report
-- that comes twice, or after a later one, changes nothing.
--
-- @keys reader_usage
-- @args process timeout_ms:number
-- @rest reports
-- process: its random id
-- timeout_ms: time without a report after which the process counts as dead
-- reports: for each limit four values: its name, the computations that run now, those started since the process began,
--          and how many of these were reported and acknowledged before
-- Returns  how many reports were taken in.
-- @include limits time
local now, taken_in = now_ms(), 0

-- Returns how many were started by the last report; nil where this one is not later.
local function started_before(name, running, started, acknowledged)
  local last = redis.call('HGET', reader_usage .. name, process)
  if not last then
    readers_running(name, now)  -- drops processes that died, so that their number is bounded
    return acknowledged
  end
  local was_running, had_started = string.match(last, '^(%d+)|%d+|(%d+)$')
  was_running, had_started = tonumber(was_running), tonumber(had_started)
  if started < had_started or (started == had_started and running > was_running) then return nil end
  return had_started
end

local function extend_ttl(key)
  if redis.call('PTTL', key) < timeout_ms then redis.call('PEXPIRE', key, timeout_ms) end
end

for i = 1, #reports, 4 do
  local name, running, started = reports[i], tonumber(reports[i + 1]), tonumber(reports[i + 2])
  local before = started_before(name, running, started, tonumber(reports[i + 3]))
  if before then
    redis.call('HSET', reader_usage .. name, process, string.format('%d|%.0f|%d', running, now + timeout_ms, started))
    extend_ttl(reader_usage .. name)
    take_tokens(name, started - before, now)
    taken_in = taken_in + 1
  end
end
return taken_in
