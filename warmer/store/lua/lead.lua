-- Takes or renews the leadership among schedulers.
--
-- @keys leader
-- @args token timeout_ms
-- Returns  1 while this token leads, else 0.
if redis.call('GET', leader) == token then
  redis.call('PEXPIRE', leader, timeout_ms)
  return 1
end
return redis.call('SET', leader, token, 'NX', 'PX', timeout_ms) and 1 or 0
