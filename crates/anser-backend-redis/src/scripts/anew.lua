-- How a bucket is begun anew; it stands before the scripts that do so.
--
-- A mark without anything applied, behind its claim.
local NOTHING_APPLIED = string.rep('0', 20)

-- From now on nothing counts that a bucket holds of its users from before the rebuild: it goes when they are written to. Each
-- partition is written again from its first record on. Claims stay, so that whoever was replaced is refused as before. What comes
-- is above `floor` at least. Returns what it is above.
local function begin_anew(bucket_key, rebuild, floor)
  local known = redis.call('HGETALL', bucket_key)
  local fields = { 'rebuilt', digits(rebuild) }
  for at = 1, #known, 2 do
    local field, value = known[at], known[at + 1]
    if string.sub(field, 1, #AGAINS) == AGAINS then
      redis.call('HDEL', bucket_key, field)
    elseif field == 'floor' then
      floor = math.max(floor, tonumber(value))
    elseif tonumber(field) then
      -- The fields that are numbers are the marks of partitions.
      fields[#fields + 1] = field
      fields[#fields + 1] = string.sub(value, 1, 20) .. NOTHING_APPLIED
    end
  end
  fields[#fields + 1] = 'floor'
  fields[#fields + 1] = digits(floor)
  redis.call('HSET', bucket_key, unpack(fields))
  return floor
end
