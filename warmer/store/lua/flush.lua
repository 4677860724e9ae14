-- Takes in a batch of counted reads. A batch that is sent twice counts once.
--
-- KEYS  1 totals  2 owners  3 tasks  4 heat  5 landmark  6 verdicts  7 number of this reader's last flush
-- ARGV  1 number of this flush  2 half-life in ms  3 most refs in heat  4 prefix of stats
--       5 reads, as JSON: [[ref, cache key, hits, misses, [computed_at of warm values whose read was useful]], ...]
--         with an empty ref where only the key is known
-- Returns  1, or 0 if this flush was taken in before.
-- @include time
-- @include ready
-- @include heat
local totals, owners, tasks, heat, landmark, verdicts = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local half_life_ms, capacity, now, LARGEST_EXPONENT = tonumber(ARGV[2]), tonumber(ARGV[3]), now_ms(), 500

if tonumber(redis.call('GET', KEYS[7]) or 0) >= tonumber(ARGV[1]) then return 0 end
redis.call('SET', KEYS[7], ARGV[1], 'EX', 3600)

local landmark_ms = tonumber(redis.call('GET', landmark))
if not landmark_ms then
  landmark_ms = now
  redis.call('SET', landmark, now)
elseif (now - landmark_ms) / half_life_ms > LARGEST_EXPONENT then
  redis.call('ZUNIONSTORE', heat, 1, heat, 'WEIGHTS', decayed(1, landmark_ms, now, half_life_ms))
  landmark_ms = now
  redis.call('SET', landmark, now)
end
local weight = 2 ^ ((now - landmark_ms) / half_life_ms)

local hits, misses, useful = 0, 0, 0
for _, read in ipairs(cjson.decode(ARGV[5])) do
  local ref = read[1] ~= '' and read[1] or redis.call('HGET', owners, read[2])
  hits, misses = hits + read[3], misses + read[4]
  if ref and redis.call('ZSCORE', tasks, task_of(ref)) then
    local stats = ARGV[4] .. task_of(ref)
    redis.call('ZINCRBY', heat, (read[3] + read[4]) * weight, ref)
    redis.call('HINCRBY', stats, 'hits', read[3])
    redis.call('HINCRBY', stats, 'misses', read[4])
    for _, computed_at in ipairs(read[5]) do
      if redis.call('ZREM', verdicts, computed_at .. ':' .. ref) == 1 then
        redis.call('HINCRBY', stats, 'useful', 1)
        useful = useful + 1
      end
    end
  end
end
redis.call('HINCRBY', totals, 'hits', hits)
redis.call('HINCRBY', totals, 'misses', misses)
if useful > 0 then redis.call('HINCRBY', totals, 'useful', useful) end

local overflow = redis.call('ZCARD', heat) - capacity
if overflow > 0 then redis.call('ZREMRANGEBYRANK', heat, 0, overflow - 1) end
return 1
