-- Commands over any number of members: Lua passes no more than some thousand at once.
local PART = 2000

local function call_with(command, key, members)
  for first = 1, #members, PART do
    redis.call(command, key, unpack(members, first, math.min(first + PART - 1, #members)))
  end
end

-- What a command answers for each member: HMGET, SMISMEMBER or ZMSCORE.
local function answers_for(command, key, members)
  local answers = {}
  for first = 1, #members, PART do
    local last = math.min(first + PART - 1, #members)
    for i, answer in ipairs(redis.call(command, key, unpack(members, first, last))) do answers[first + i - 1] = answer end
  end
  return answers
end
