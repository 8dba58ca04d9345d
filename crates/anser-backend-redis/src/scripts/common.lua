-- What several scripts share; it stands before each of them.
--
-- Positions and times are milliseconds below 2^53: Lua computes with them exactly. Claims, offsets and connection ids may be
-- larger. They come as 20 digits and are only ever compared, as texts. No other texts are compared for order, since that
-- depends on the locale of the server.

-- The life of this server as a primary. It is another one after each restart and each fail-over, which is when writes may be
-- lost. A replica has no such life: nothing is read from it, and nothing decided by it.
local function server_life()
  local info = redis.call('INFO', 'replication')
  if not string.find(info, 'role:master', 1, true) then
    error({ err = 'READONLY this server is a replica' })
  end
  return string.match(info, 'master_replid:(%x+)')
end

-- A position or time as text, with all its digits.
local function digits(number)
  return string.format('%.0f', number)
end

-- Whether what there is of a user was made before the rebuild for which its bucket was begun anew: then it is not there.
local function is_older(rebuilt, of_bucket)
  return tonumber(rebuilt or 0) < tonumber(of_bucket or 0)
end

-- What was taken back of a timeline, UIDs one behind the other, without those whose entries are gone for good, and without one.
-- A UID begins with 42 bits of sent time. Entries may lie at later places than their sent times: a day is allowed for that.
local function kept_recalled(uids, expired, except)
  local kept = {}
  for at = 1, #uids, 10 do
    local uid = string.sub(uids, at, at + 9)
    if uid ~= except and math.floor(struct.unpack('>I6', uid) / 64) + 86400000 >= expired then
      kept[#kept + 1] = uid
    end
  end
  return table.concat(kept)
end
