-- Commands over any number of members: Lua's stack holds only some thousand arguments.
local CHUNK = 2000

local function call_with(command, key, members)
  for first = 1, #members, CHUNK do
    redis.call(command, key, unpack(members, first, math.min(first + CHUNK - 1, #members)))
  end
end

-- Returns the answer for each member: of HMGET, SMISMEMBER or ZMSCORE.
local function answers_for(command, key, members)
  local answers = {}
  for first = 1, #members, CHUNK do
    local last = math.min(first + CHUNK - 1, #members)
    for i, answer in ipairs(redis.call(command, key, unpack(members, first, last))) do answers[first + i - 1] = answer end
  end
  return answers
end
