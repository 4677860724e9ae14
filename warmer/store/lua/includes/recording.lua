-- Records reads while a recording runs; otherwise it costs one GET. All reads of a sampled target are recorded, and none
-- of any other. The target's name goes out only as a salted digest.
--
-- @keys recorded recording unrecorded
-- @include statistics
local record_reads
do  -- Lua allows 200 local variables; what is not named above is seen only here
  local KEPT_MS = 60000  -- rows that nobody takes off are dropped after that
  local APART_MS = 1000  -- a batch whose first and last read are farther apart is recorded as two
  local id, salt, threshold, capacity =
    string.match(redis.call('GET', recording) or '', '^(%x+) (%x+) (%d+) (%d+)$')
  local rows, dropped, room = id and recorded .. id, id and unrecorded .. id, nil

  local function add_row(key, at, reads, cost_ms)
    room = room or tonumber(capacity) - redis.call('XLEN', rows)
    if room <= 0 then
      redis.call('INCRBY', dropped, reads)
      redis.call('PEXPIRE', dropped, KEPT_MS)
      return
    end
    room = room - 1
    local cost = cost_ms > 0 and string.format('%.6g', cost_ms / 1000) or ''
    redis.call('XADD', rows, '*', 'row', string.format('%.3f,%s,%.0f,%s', at / 1000, key, reads, cost))
    redis.call('PEXPIRE', rows, KEPT_MS)
  end

  -- Records so many reads of a target, made between two moments in ms.
  function record_reads(ref, h, reads, first, last)
    if not id or reads <= 0 then return end
    local digest = redis.sha1hex(salt .. ref)
    if tonumber(string.sub(digest, 1, 8), 16) >= tonumber(threshold) then return end
    local key, cost_ms = string.sub(digest, 9, 24), cost_ms_of(h, ref)
    if reads > 1 and last - first >= APART_MS then
      add_row(key, first, 1, cost_ms)
      reads = reads - 1
    end
    add_row(key, last, reads, cost_ms)
  end
end
