-- Takes the right to write an entry, if nobody has it.
--
-- KEYS  1 lease  2 entry
-- ARGV  1 token  2 lease time-out in ms  3 how many bytes of the entry to return
-- Returns  {1 if taken, else 0, now in ms, the beginning of the present entry or ""}
-- @include time
local taken = redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2])
return {taken and 1 or 0, now_ms(), redis.call('GETRANGE', KEYS[2], 0, tonumber(ARGV[3]) - 1)}
