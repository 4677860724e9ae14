-- Histories: what is remembered of each target's reads. warmer/policy/history.py does the same arithmetic in 47 bytes; here
-- the target's ttl stands beside it, and with its name and its place a history takes about 64 bytes of memory.
--
-- Histories stand in buckets: strings of records, each a name and a history. The name is a digest of the target's ref,
-- whose lowest bits are the number of its bucket. The number of buckets grows with that of the histories (linear hashing:
-- Litwin, 1980) up to the capacity; from then on a full bucket forgets its coldest histories.
--
-- @keys history_buckets history_meta
-- @settings history_capacity
-- @const ANSWERED OPEN SESSION_GAP
local MISSED = 16  -- a flag beside those of decisions: missed since the last publication
local has_flag, seconds_of, set_cost, history_of, packed_history_of, keep_history, keep_history_meta
local no_history, take_reads, take_publication
do  -- Lua allows 200 local variables; what is not named above is seen only here
  local LAYOUT, LAYOUT_BYTES, NO_DECISION = '<I5ffffBBI5I5HI5Bc6B', 48, string.rep('\0', 6)
  local NAME_BYTES, RECORD_BYTES = 5, 53
  local SPLIT_AT, FULL_AT = 36, 64
  local MAX_LIFE = 255

  -- where histories stand -------------------------------------------------------------------------------------
  local meta
  local function loaded_meta()
    if not meta then
      local known = redis.call('HMGET', history_meta, 'histories', 'buckets')
      meta = {histories = tonumber(known[1] or 0), buckets = tonumber(known[2] or 1), base = 1}
      while meta.base * 2 <= meta.buckets do meta.base = meta.base * 2 end
      meta.max_buckets = 1
      while meta.max_buckets * FULL_AT < history_capacity do meta.max_buckets = meta.max_buckets * 2 end
    end
    return meta
  end

  local function bucket_of(number, known)
    local bucket = number % (2 * known.base)
    if bucket >= known.buckets then bucket = bucket - known.base end
    return bucket
  end

  local function place_of(ref)
    local number = tonumber(string.sub(redis.sha1hex(ref), 1, 10), 16)
    return history_buckets .. string.format('%.0f', bucket_of(number, loaded_meta())), struct.pack('<I5', number)
  end

  local function records_in(bucket)
    return redis.call('GET', bucket) or ''
  end

  -- Returns where in a bucket a name's record begins; nil if it is not there.
  local function offset_of(records, name)
    local at = string.find(records, name, 1, true)
    while at and (at - 1) % RECORD_BYTES > 0 do at = string.find(records, name, at + 1, true) end
    return at
  end

  -- codes ------------------------------------------------------------------------------------------------------
  -- Seconds on a scale of logarithms, exact to 0.02 %; 0 for unknown, or next to nothing.
  local function code_of(seconds)
    if seconds <= 1e-6 then return 0 end
    return math.min(65535, math.floor(2048 * math.log(1e6 * seconds) / math.log(2) + 0.5))
  end

  function seconds_of(code)
    return code == 0 and 0 or 2 ^ (code / 2048) / 1e6
  end

  -- A ttl on a scale of logarithms, to a tenth: enough to tell how much a history has cooled down.
  local function ttl_code_of(ttl_ms)
    return math.min(255, math.floor(8 * math.log(ttl_ms) / math.log(2)))
  end

  local function bytes_of(h)
    return struct.pack(LAYOUT, h.last, h.reads_4, h.reads_16, h.sessions_64, h.sessions_1024, h.gap, h.drain_id,
      h.fresh_until, h.baseline_until, h.cost, h.decided, h.flags, h.decision, h.ttl)
  end

  -- Times are ms since EPOCH_MS; 0 for never.
  local function history_in(bytes)
    if not bytes or #bytes ~= LAYOUT_BYTES then return nil end
    local h = {}
    h.last, h.reads_4, h.reads_16, h.sessions_64, h.sessions_1024, h.gap, h.drain_id, h.fresh_until,
      h.baseline_until, h.cost, h.decided, h.flags, h.decision, h.ttl = struct.unpack(LAYOUT, bytes)
    return h
  end

  function no_history()
    return {
      last = 0, reads_4 = 0, reads_16 = 0, sessions_64 = 0, sessions_1024 = 0, gap = 0, drain_id = 0,
      fresh_until = 0, baseline_until = 0, cost = 0, decided = 0, flags = 0, decision = NO_DECISION, ttl = 0,
    }
  end

  -- room -------------------------------------------------------------------------------------------------------
  local function write_bucket(bucket, records)
    if #records == 0 then redis.call('DEL', bucket) else redis.call('SET', bucket, table.concat(records)) end
  end

  -- One more bucket: it takes over those histories of an older one whose digests say so.
  local function split_a_bucket(known)
    local base, new = known.base, known.buckets
    local from, to = history_buckets .. string.format('%.0f', new - base), history_buckets .. string.format('%.0f', new)
    local records, stay, move = records_in(from), {}, {}
    for at = 1, #records, RECORD_BYTES do
      local part = struct.unpack('<I5', records, at) % (2 * base) == new and move or stay
      part[#part + 1] = string.sub(records, at, at + RECORD_BYTES - 1)
    end
    write_bucket(from, stay)
    write_bucket(to, move)
    known.buckets = new + 1
    if known.buckets == 2 * base then known.base = known.buckets end
  end

  -- Returns how much a history is worth keeping: the reads of its target to expect within a millisecond.
  local function warmth_of(record, at)
    local last, _, reads_16 = struct.unpack('<I5ff', record, NAME_BYTES + 1)
    local span_ms = 16 * 2 ^ (string.byte(record, RECORD_BYTES) / 8)
    return reads_16 * math.exp(-(at - last) / span_ms) / span_ms
  end

  local function forget_the_coldest(bucket, records, at, max_records, known)
    local ranked, kept = {}, {}
    for from = 1, #records, RECORD_BYTES do
      local record = string.sub(records, from, from + RECORD_BYTES - 1)
      ranked[#ranked + 1] = {record = record, warmth = warmth_of(record, at)}
    end
    table.sort(ranked, function(one, other) return one.warmth > other.warmth end)
    for i = 1, max_records do kept[i] = ranked[i].record end
    known.histories = known.histories - (#ranked - max_records)
    write_bucket(bucket, kept)
  end

  -- Takes a new record in.
  local function add_record(bucket, records, record, at)
    local known = loaded_meta()
    known.histories = known.histories + 1
    records = records .. record
    if known.buckets < known.max_buckets then
      redis.call('SET', bucket, records)  -- APPEND would leave as much room again
      if known.histories > SPLIT_AT * known.buckets then split_a_bucket(known) end
      return
    end
    local max_records = math.max(1, math.floor(history_capacity / known.max_buckets))
    if #records / RECORD_BYTES > max_records then
      forget_the_coldest(bucket, records, at, math.ceil(0.75 * max_records), known)
    else
      redis.call('SET', bucket, records)
    end
  end

  -- looking up and keeping -------------------------------------------------------------------------------------
  local meta_changed = false

  -- Returns the history of a target, nil if there is none, and its place.
  function history_of(ref)
    local bucket, name = place_of(ref)
    local records = records_in(bucket)
    local from = offset_of(records, name)
    local h = from and history_in(string.sub(records, from + NAME_BYTES, from + RECORD_BYTES - 1))
    return h, {bucket = bucket, name = name, records = records, from = from}
  end

  -- Returns the history as it is stored; "" if there is none.
  function packed_history_of(ref)
    local bucket, name = place_of(ref)
    local records = records_in(bucket)
    local from = offset_of(records, name)
    return from and string.sub(records, from + NAME_BYTES, from + RECORD_BYTES - 1) or ''
  end

  function keep_history(h, place, at)
    if place.from then
      redis.call('SETRANGE', place.bucket, place.from - 1 + NAME_BYTES, bytes_of(h))
    else
      add_record(place.bucket, place.records, place.name .. bytes_of(h), at)
      meta_changed = true
    end
  end

  -- To be called at the end of a script that kept histories.
  function keep_history_meta()
    if meta_changed then redis.call('HSET', history_meta, 'histories', meta.histories, 'buckets', meta.buckets) end
  end

  function has_flag(h, flag)
    return h.flags % (2 * flag) >= flag
  end

  -- what happens -----------------------------------------------------------------------------------------------
  -- Takes in reads at a moment; returns whether a plain ttl cache, the baseline, would have missed.
  function take_reads(h, at, reads, ttl_ms)
    at = math.max(at, h.last)
    local x, session = (at - h.last) / ttl_ms, 0
    if h.last == 0 then
      x, session = math.huge, 1
    elseif x > SESSION_GAP then
      h.gap, session = math.max(1, math.min(255, 1 + math.floor(16 * math.log(x / SESSION_GAP) / math.log(2)))), 1
    end
    h.reads_4 = h.reads_4 * math.exp(-x / 4) + reads
    h.reads_16 = h.reads_16 * math.exp(-x / 16) + reads
    h.sessions_64 = h.sessions_64 * math.exp(-x / 64) + session
    h.sessions_1024 = h.sessions_1024 * math.exp(-x / 1024) + session
    if h.flags % 2 == OPEN and not has_flag(h, ANSWERED) and at >= h.decided and at < h.decided + ttl_ms then
      h.flags = h.flags + ANSWERED
    end
    h.last, h.ttl, h.drain_id = at, ttl_code_of(ttl_ms), math.min(MAX_LIFE, h.drain_id + reads)
    if at < h.baseline_until then return false end
    h.baseline_until = at + ttl_ms
    return true
  end

  function set_cost(h, cost_s)
    h.cost = code_of(cost_s)
  end

  function take_publication(h, fresh_until, cost_s)
    if has_flag(h, MISSED) then h.flags = h.flags - MISSED end
    h.fresh_until, h.drain_id = fresh_until, 0
    set_cost(h, cost_s)
  end
end
