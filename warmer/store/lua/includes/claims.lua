-- Claims. The record of a claim is "token|ready since, ms|a or s|limit|ref": the owner's token; "a" if the target was
-- requested on demand, "s" if it is scheduled; and under a limit the first ref of the call that holds the slot.
--
-- @keys call_slots claim_records claims
-- @include chunks limits quarantine ready_queues requests
local function claim_of(record)
  local owner, since, flag, limit, slot = string.match(record or '', '^([^|]*)|(%-?%d+)|(%a)|([^|]*)|(.*)$')
  return owner, tonumber(since), flag == 'a', limit, slot
end

local function claim_record(token, since, is_on_demand, limit, slot)
  return token .. '|' .. string.format('%.0f', since) .. '|' .. (is_on_demand and 'a' or 's') .. '|' .. limit .. '|' .. slot
end

-- Takes one slot of a limit for each call; the targets of a call hold it together.
local function begin_calls(limit, calls, deadline, now)
  local first_refs = {}
  for i, refs in ipairs(calls) do
    first_refs[i] = refs[1]
    redis.call('HSET', call_slots, limit .. '|' .. refs[1], #refs)
  end
  begin_under(limit, first_refs, deadline, now)
end

-- Drops claims; a slot is given back with the last target that holds it.
local function drop_claims(refs, record_of)
  if #refs == 0 then return end
  call_with('ZREM', claims, refs)
  call_with('HDEL', claim_records, refs)
  local by_limit = {}
  for _, ref in ipairs(refs) do
    local _, _, _, limit, slot = claim_of(record_of[ref])
    if limit and limit ~= '' and redis.call('HINCRBY', call_slots, limit .. '|' .. slot, -1) <= 0 then
      redis.call('HDEL', call_slots, limit .. '|' .. slot)
      by_limit[limit] = by_limit[limit] or {}
      table.insert(by_limit[limit], slot)
    end
  end
  for limit, slots in pairs(by_limit) do end_under(limit, slots) end
end

-- Makes a target ready again, as if it had not been claimed.
local function put_back(ref, record, now)
  local _, since, is_on_demand = claim_of(record)
  if not make_ready(ref, since or now, is_on_demand) then forget(ref, is_quarantined(ref) and IN_QUARANTINE or nil) end
end
