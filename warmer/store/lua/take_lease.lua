-- Takes the right to write an entry, if nobody has it.
--
-- @keys lease entry
-- @args token timeout_ms length:number
-- length: how many bytes of the entry to return
-- Returns  {1 if taken, else 0, now in ms, the beginning of the present entry or ""}
-- @include time
local taken = redis.call('SET', lease, token, 'NX', 'PX', timeout_ms)
return {taken and 1 or 0, now_ms(), redis.call('GETRANGE', entry, 0, length - 1)}
