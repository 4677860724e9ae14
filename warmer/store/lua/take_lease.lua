-- Takes leases, the right to write entries, that nobody holds.
--
-- @settings lease_timeout_ms
-- @args length:number seize
-- @each_key lease entry failure
-- @each_arg token waiting_since:number
-- length: how many bytes of the entry to return
-- seize: "1" to void the lease of another holder, else "0"
-- waiting_since: since when the caller has waited for another's computation, in ms; 0 if it has not
-- Returns  {now in ms, for each {1 if taken, else 0, the beginning of the present entry or "",
--           how the computation that was waited for has failed or ""}}
-- @include time
local now = now_ms()

local function failure_of(one)
  if one.waiting_since <= 0 then return nil end
  local failed_at, how = string.match(redis.call('GET', one.failure) or '', '^(%d+)|(.*)$')
  return failed_at and tonumber(failed_at) >= one.waiting_since and how
end

local function take(one)
  local how = failure_of(one)
  if how then return {0, '', how} end
  if seize == '1' then redis.call('DEL', one.lease) end
  -- A caller that repeats the command because the reply was lost holds it already.
  local taken = redis.call('SET', one.lease, one.token, 'NX', 'PX', lease_timeout_ms)
    or redis.call('GET', one.lease) == one.token
  return {taken and 1 or 0, redis.call('GETRANGE', one.entry, 0, length - 1), ''}
end

local answers = {}
for i, one in ipairs(each) do answers[i] = take(one) end
return {now, answers}
