-- Extends claims that are still held with this token.
--
-- KEYS  1 claims  2 tokens
-- ARGV  1 owner token  2 claim time-out in ms  3... refs
-- Returns  the refs whose claims are lost.
-- @include time
local lost, now = {}, now_ms()
for i = 3, #ARGV do
  local owner = string.match(redis.call('HGET', KEYS[2], ARGV[i]) or '', '^([^|]*)|')
  if owner == ARGV[1] then
    redis.call('ZADD', KEYS[1], 'XX', now + tonumber(ARGV[2]), ARGV[i])
  else
    lost[#lost + 1] = ARGV[i]
  end
end
return lost
