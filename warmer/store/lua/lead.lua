-- Takes or renews the leadership among schedulers.
--
-- KEYS  1 leader
-- ARGV  1 own token  2 time-out in ms
-- Returns  1 while this token leads, else 0.
if redis.call('GET', KEYS[1]) == ARGV[1] then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
  return 1
end
return redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) and 1 or 0
