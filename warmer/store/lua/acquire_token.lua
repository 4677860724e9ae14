-- Takes or renews what one token at a time may hold: the leadership among schedulers, or the recording of reads.
--
-- @args key token timeout_ms
-- Returns  1 if this token holds it now, else 0.
if redis.call('GET', key) == token then
  redis.call('PEXPIRE', key, timeout_ms)
  return 1
end
return redis.call('SET', key, token, 'NX', 'PX', timeout_ms) and 1 or 0
