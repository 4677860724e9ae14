-- Takes in a batch of counted reads. A batch that is sent twice counts once.
--
-- @keys totals owners tasks heat landmark verdicts last_flush
-- @prefixes stats
-- @args number:number half_life_ms:number capacity:number reads
-- number: of this flush, counting up
-- capacity: most refs in heat
-- reads: as JSON, [[ref, cache key, hits, misses, [computed_at of warm values whose read was useful], stale hits], ...]
--        with an empty ref where only the key is known
-- Returns  1, or 0 if this flush was taken in before.
-- @include time
-- @include tasks
-- @include heat
local now, LARGEST_EXPONENT = now_ms(), 500

if tonumber(redis.call('GET', last_flush) or 0) >= number then return 0 end
redis.call('SET', last_flush, number, 'EX', 3600)

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

local hits, misses, useful, stale = 0, 0, 0, 0
for _, read in ipairs(cjson.decode(reads)) do
  local ref = read[1] ~= '' and read[1] or redis.call('HGET', owners, read[2])
  hits, misses, stale = hits + read[3], misses + read[4], stale + read[6]
  if ref and redis.call('ZSCORE', tasks, task_of(ref)) then
    local stats = stats .. task_of(ref)
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
if stale > 0 then redis.call('HINCRBY', totals, 'stale_hits', stale) end
if useful > 0 then redis.call('HINCRBY', totals, 'useful', useful) end

local overflow = redis.call('ZCARD', heat) - capacity
if overflow > 0 then redis.call('ZREMRANGEBYRANK', heat, 0, overflow - 1) end
return 1
