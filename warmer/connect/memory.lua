-- What scripts may use on a server, and fakeredis does not offer: a digest, and packing of numbers into bytes.
-- The digest is none that protects anything; it spreads names, as SHA-1 does for the scripts that use it.
redis.sha1hex = function(text)
  local parts = {}
  for seed = 1, 5 do
    local sum = 7919 * seed
    for i = 1, #text do sum = (sum * 31 + string.byte(text, i) * seed) % 4294967291 end
    parts[seed] = string.format('%08x', sum)
  end
  return table.concat(parts)
end

local struct = {}

local function field_at(layout, from)
  local kind, width, next_from = string.match(layout, '^([<%a])(%d*)()', from)
  return kind, tonumber(width), next_from
end

local function integer_bytes(value, width)
  local bytes = {}
  for i = 1, width do
    bytes[i] = string.char(value % 256)
    value = math.floor(value / 256)
  end
  return table.concat(bytes)
end

local function integer_in(bytes, from, width)
  local value = 0
  for i = width, 1, -1 do value = value * 256 + string.byte(bytes, from + i - 1) end
  return value
end

-- IEEE 754, single precision, for what histories hold: numbers from 0 on; what is too small for it is 0.
local function float_bytes(value)
  if value < 2 ^ -126 then return integer_bytes(0, 4) end
  local mantissa, exponent = math.frexp(value)
  local whole = (mantissa * 2 - 1) * 2 ^ 23
  local rounded = math.floor(whole + 0.5)
  if rounded - whole == 0.5 and rounded % 2 == 1 then rounded = rounded - 1 end
  return integer_bytes((exponent + 126) * 2 ^ 23 + rounded, 4)
end

local function float_in(bytes, from)
  local whole = integer_in(bytes, from, 4)
  if whole == 0 then return 0 end
  return (1 + whole % 2 ^ 23 / 2 ^ 23) * 2 ^ (math.floor(whole / 2 ^ 23) - 127)
end

function struct.pack(layout, ...)
  local values, taken, parts, from = {...}, 0, {}, 1
  while from <= #layout do
    local kind, width, next_from = field_at(layout, from)
    from = next_from
    if kind ~= '<' then
      taken = taken + 1
      local value = values[taken]
      if kind == 'I' then parts[taken] = integer_bytes(value, width)
      elseif kind == 'H' then parts[taken] = integer_bytes(value, 2)
      elseif kind == 'B' then parts[taken] = integer_bytes(value, 1)
      elseif kind == 'f' then parts[taken] = float_bytes(value)
      elseif kind == 'c' then parts[taken] = string.sub(value, 1, width) end
    end
  end
  return table.concat(parts)
end

function struct.unpack(layout, bytes, at)
  local values, from = {}, 1
  at = at or 1
  while from <= #layout do
    local kind, width, next_from = field_at(layout, from)
    from = next_from
    if kind ~= '<' then
      width = width or ({H = 2, B = 1, f = 4})[kind]
      if kind == 'c' then values[#values + 1] = string.sub(bytes, at, at + width - 1)
      elseif kind == 'f' then values[#values + 1] = float_in(bytes, at)
      else values[#values + 1] = integer_in(bytes, at, width) end
      at = at + width
    end
  end
  values[#values + 1] = at
  return unpack(values)
end
