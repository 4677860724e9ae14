-- Gives a lease up because its computation failed, and leaves word of that for those who wait for it: they shall not
-- all try the same in vain. The word is short-lived; whoever comes later tries anew.
--
-- @keys lease failure
-- @args token how
-- how: what went wrong
-- Returns  1, or 0 if it was not held with this token.
-- @include time
local WORD_MS = 10000
if redis.call('GET', lease) ~= token then return 0 end
redis.call('DEL', lease)
redis.call('SET', failure, string.format('%.0f', now_ms()) .. '|' .. how, 'PX', WORD_MS)
return 1
