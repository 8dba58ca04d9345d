-- What several scripts share; it stands before each of them.
--
-- Positions and times are milliseconds below 2^53: Lua computes with them exactly. Claims, offsets and connection ids may be
-- larger. They come as 20 digits and are only ever compared, as texts. No other texts are compared for order, since that
-- depends on the locale of the server.

-- `CHOICE` stands before this: where a server notes that it is the primary that was chosen; nil if there is only one that can be. And
-- `PLACES`: from where partitions are replayed.

-- The life of this server as a primary. It is another one after each restart and each fail-over, which is when writes may be
-- lost, and each time it is chosen. A replica has no such life, nor has a primary that was not chosen in its life: nothing is
-- read from it, and nothing decided by it. Beside it the number of the newest choice for which buckets step back.
local function server_life()
  local info = redis.call('INFO', 'replication')
  if not string.find(info, 'role:master', 1, true) then
    error({ err = 'READONLY this server is a replica' })
  end
  local life = string.match(info, 'master_replid:(%x+)')
  if not CHOICE then
    return life, 0
  end
  local chosen = redis.call('HMGET', CHOICE, 'life', 'term', 'stepped')
  if chosen[1] ~= life then
    error({ err = 'UNCHOSEN this server is not the primary that is used' })
  end
  return life .. '-' .. chosen[2], tonumber(chosen[3] or 0)
end

-- The clock of this server, in milliseconds.
local function server_time()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

-- A position or time as text, with all its digits.
local function digits(number)
  return string.format('%.0f', number)
end

-- To where a bucket is raised: above `floor`, and above all that was in any bucket in the lives before the last choice. The highest is
-- noted, for the next choice; until then it is no matter of other buckets.
local function raised(floor)
  if not CHOICE then
    return floor
  end
  local noted = redis.call('HMGET', CHOICE, 'base', 'top')
  local base = tonumber(noted[1] or 0)
  if floor > (tonumber(noted[2] or 0)) then
    redis.call('HSET', CHOICE, 'top', digits(floor))
  end
  return math.max(floor, base)
end

-- The mark of a partition of which nothing was written: no claim, no offset.
local NO_MARK = string.rep('0', 40)

-- Beside the mark of a partition in a bucket that stepped back: up to where it was written before. And in how many fields that is so.
local AGAIN, AGAINS = 'again:', 'again'

-- Whether what there is of a user was made before the rebuild for which its bucket was begun anew: then it is not there.
local function is_older(rebuilt, of_bucket)
  return tonumber(rebuilt or 0) < tonumber(of_bucket or 0)
end

-- What was taken back of a timeline, UIDs one behind the other, without those whose entries are gone for good. A UID begins with 42 bits
-- of sent time. Entries may lie at later places than their sent times: a day is allowed for that.
local function kept_recalled(uids, expired)
  local kept = {}
  for at = 1, #uids, 10 do
    local uid = string.sub(uids, at, at + 9)
    if math.floor(struct.unpack('>I6', uid) / 64) + 86400000 >= expired then
      kept[#kept + 1] = uid
    end
  end
  return table.concat(kept)
end
