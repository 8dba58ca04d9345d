-- Reads a timeline after a position: entries, head and whether that was all, as of one moment.
--
-- KEYS: bucket, state, timeline. ARGV: after, the most entries, the most bytes of records, then how a bucket is raised that came back
--   without its newest writes.
-- Returns the head, 1 if nothing came after the last entry, else 0, the UIDs of what was taken back, and the entries, oldest
--   first.

local CHUNK = 64
-- Bytes of an entry before its record: position, version and side; in the outbox also the connection.
local INBOX_BYTES, OUTBOX_BYTES = 10, 18

local function record_bytes(entry)
  return #entry - (string.byte(entry, 10) == 0 and INBOX_BYTES or OUTBOX_BYTES)
end

local life = server_life()
local fields = redis.call('HMGET', KEYS[1], 'life', 'ahead', 'floor', 'newest', 'newest_at', 'expired', 'rebuilt')
local bucket = { life = fields[1], ahead = fields[2], floor = tonumber(fields[3] or 0), newest = tonumber(fields[4] or 0) }
local expired, rebuilt = tonumber(fields[6] or 0), fields[7]
bucket.newest_at = tonumber(fields[5])
local state = redis.call('HMGET', KEYS[2], 'last', 'recalled', 'rebuilt')
local last, asked = tonumber(state[1] or 0), tonumber(ARGV[1])
if asked > math.max(last, bucket.floor) and bucket.life and bucket.life ~= life then
  -- The reader was shown what is gone, and nobody has written since: what it has must not be taken for a cursor of another timeline.
  raise(KEYS[1], bucket, life, server_time(), raise_limits(4))
end
local head = math.max(last, bucket.floor)
local after = math.max(asked, expired - 1)
local entries_max, bytes_max = tonumber(ARGV[2]), tonumber(ARGV[3])

local answer, count, bytes = { head, 1, kept_recalled(state[2] or '', expired) }, 0, 0
if is_older(state[3], rebuilt) then
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
