-- Reads a timeline after a position: entries, head and whether that was all, as of one moment.
--
-- KEYS: bucket, state, timeline. ARGV: after, the most entries, the most bytes of records.
-- Returns the head, 1 if nothing came after the last entry, else 0, the UIDs of what was taken back, and the entries, oldest
--   first.

local CHUNK = 64
-- Bytes of an entry before its record: position, version and side; in the outbox also the connection.
local INBOX_BYTES, OUTBOX_BYTES = 10, 18

local function record_bytes(entry)
  return #entry - (string.byte(entry, 10) == 0 and INBOX_BYTES or OUTBOX_BYTES)
end

server_life()
local bucket = redis.call('HMGET', KEYS[1], 'floor', 'expired', 'rebuilt')
local state = redis.call('HMGET', KEYS[2], 'last', 'recalled', 'rebuilt')
local expired = tonumber(bucket[2] or 0)
local head = math.max(tonumber(state[1] or 0), tonumber(bucket[1] or 0))
local after = math.max(tonumber(ARGV[1]), expired - 1)
local entries_max, bytes_max = tonumber(ARGV[2]), tonumber(ARGV[3])

local answer, count, bytes = { head, 1, kept_recalled(state[2] or '', expired) }, 0, 0
if is_older(state[3], bucket[3]) then
  return answer
end
while true do
  local chunk = redis.call('ZRANGE', KEYS[3], '(' .. digits(after), '+inf', 'BYSCORE', 'LIMIT', 0, CHUNK)
  for _, entry in ipairs(chunk) do
    bytes = bytes + record_bytes(entry)
    if count > 0 and (count >= entries_max or bytes > bytes_max) then
      answer[2] = 0
      return answer
    end
    count = count + 1
    answer[count + 3] = entry
  end
  if #chunk < CHUNK then
    return answer
  end
  after = struct.unpack('>I8', chunk[CHUNK])
end
