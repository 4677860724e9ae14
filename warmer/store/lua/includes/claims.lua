-- Claims: who refreshes a target, since when it had been ready, whether it was asked for by hand, and what place it has
-- under a limit: "token|ms|a or s|limit|ref", the ref being the first of those that share the place.
--
-- @keys claims slots tokens
-- @include flags lanes limits parts
local function claim_of(text)
  local owner, since, flag, limit, slot = string.match(text or '', '^([^|]*)|(%-?%d+)|(%a)|([^|]*)|(.*)$')
  return owner, tonumber(since), flag == 'a', limit, slot
end

local function claim_text(token, since, is_asked, limit, slot)
  return token .. '|' .. string.format('%.0f', since) .. '|' .. (is_asked and 'a' or 's') .. '|' .. limit .. '|' .. slot
end

-- Takes places under a limit, one for each call; the targets of a call hold it together.
local function begin_calls(limit, calls, deadline, now)
  local held = {}
  for i, refs in ipairs(calls) do
    held[i] = refs[1]
    redis.call('HSET', slots, limit .. '|' .. refs[1], #refs)
  end
  begin_under(limit, held, deadline, now)
end

-- Drops claims; a place under a limit is given back with the last target that held it.
local function drop_claims(refs, text_of)
  if #refs == 0 then return end
  call_with('ZREM', claims, refs)
  call_with('HDEL', tokens, refs)
  local by_limit = {}
  for _, ref in ipairs(refs) do
    local _, _, _, limit, slot = claim_of(text_of[ref])
    if limit and limit ~= '' and redis.call('HINCRBY', slots, limit .. '|' .. slot, -1) <= 0 then
      redis.call('HDEL', slots, limit .. '|' .. slot)
      by_limit[limit] = by_limit[limit] or {}
      table.insert(by_limit[limit], slot)
    end
  end
  for limit, held in pairs(by_limit) do end_under(limit, held) end
end

-- Puts a target whose claim nobody carries out back into its lane, in its old place.
local function put_back(ref, text, now)
  local _, since, is_asked = claim_of(text)
  if not make_ready(ref, since or now, is_asked) then forget(ref, is_quarantined(ref) and IN_QUARANTINE or nil) end
end
