-- Forward decay (Cormode, Shkapenyuk, Srivastava, Xu, 2009): a read at time t adds 2^((t - landmark) / half_life).
-- Scores never change with time, so their order is the decayed order; only the landmark moves, once in a long while.
local function decayed(score, landmark_ms, at_ms, half_life_ms)
  return tonumber(score) * 2 ^ (-(at_ms - landmark_ms) / half_life_ms)
end
