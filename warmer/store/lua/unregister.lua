-- Forgets a task: nothing of it is scheduled any more. Cached values stay until they expire.
-- Targets with arguments that still stand in due or ready are dropped when their turn comes.
--
-- KEYS  1 tasks  2 definitions  3 owners  4 critical  5 due  6 ready  7 claims  8 tokens  9 ensure  10 again
--       11 requested  12 failures  13 heat
-- ARGV  1 task id  2 prefix of scoped  3 prefix of stats  4 prefix of durations
-- Returns  1 if the task was registered, else 0.
local task_id = ARGV[1]
local stored = redis.call('HGET', KEYS[2], task_id)
if not stored then return 0 end
local definition = cjson.decode(stored)
if redis.call('HGET', KEYS[3], definition.cache_key) == task_id then
  redis.call('HDEL', KEYS[3], definition.cache_key)
end
if definition.fields ~= '' then redis.call('SREM', ARGV[2] .. definition.fields, task_id) end
redis.call('ZREM', KEYS[1], task_id)
redis.call('HDEL', KEYS[2], task_id)
for _, sorted_set in ipairs({KEYS[5], KEYS[6], KEYS[7], KEYS[13]}) do redis.call('ZREM', sorted_set, task_id) end
for _, set in ipairs({KEYS[4], KEYS[9], KEYS[10], KEYS[11]}) do redis.call('SREM', set, task_id) end
for _, hash in ipairs({KEYS[8], KEYS[12]}) do redis.call('HDEL', hash, task_id) end
redis.call('DEL', ARGV[3] .. task_id, ARGV[4] .. task_id)
return 1
