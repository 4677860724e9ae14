-- Returns the targets that are to be reviewed by now, and all that the decisions depend on. Changes nothing.
--
-- @keys accounts leader policy_state reviews switch totals
-- @args token limit:number
-- token: of the scheduler that leads
-- limit: most targets at once
-- Returns  {now in ms, switch or "", whether this token leads: 1 or 0, targets, policy state, accounts, totals}, the
--          last three as flat lists of fields; each target {ref, when it was to be reviewed in ms, ttl in ms, account:
--          "f" the fleet's, "t" its task's own, "n" none, history or ""}; ttl 0 if its task is gone
-- @include history task_spec tasks time
local now, targets = now_ms(), {}
local found = redis.call('ZRANGE', reviews, '-inf', now, 'BYSCORE', 'LIMIT', 0, limit, 'WITHSCORES')
for i = 1, #found, 2 do
  local spec = spec_of(task_of(found[i]))
  targets[#targets + 1] = {
    found[i], found[i + 1], spec and spec.ttl_ms or 0, spec and spec.account or 'n',
    packed_history_of(found[i]),
  }
end
local leads = redis.call('GET', leader) == token and 1 or 0
return {now, redis.call('GET', switch) or '', leads, targets, redis.call('HGETALL', policy_state),
  redis.call('HGETALL', accounts), redis.call('HMGET', totals, 'hits', 'misses')}
