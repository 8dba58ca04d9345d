-- How a bucket steps back that may have what was gone when readers were shown other things; it stands before the scripts that find that out.

-- All partitions are written again from where they are replayed. What is written already is moved above what readers were shown. Notes
-- the choice for which that is done.
local function step_back(bucket_key, choice)
  local known, bucket = redis.call('HGETALL', bucket_key), {}
  for at = 1, #known, 2 do
    bucket[known[at]] = known[at + 1]
  end
  local fields, count = { 'stepped', digits(choice) }, tonumber(bucket[AGAINS] or 0)
  for partition, mark in pairs(bucket) do
    -- The fields that are numbers are the marks of partitions: claims and offsets.
    if tonumber(partition) then
      local claim, next = string.sub(mark, 1, 20), string.sub(mark, 21)
      local place = string.sub(redis.call('HGET', PLACES, partition) or NO_MARK, 21)
      local before = bucket[AGAIN .. partition]
      if place < next then
        for _, field in ipairs({ partition, claim .. place, AGAIN .. partition, before and before > next and before or next }) do
          fields[#fields + 1] = field
        end
        count = count + (before and 0 or 1)
      end
    end
  end
  fields[#fields + 1], fields[#fields + 2] = AGAINS, count
  redis.call('HSET', bucket_key, unpack(fields))
end

-- A partition is written again up to where it was. Returns in how many fields that is still to come.
local function end_again(bucket_key, partition, count)
  redis.call('HDEL', bucket_key, AGAIN .. partition)
  redis.call('HSET', bucket_key, AGAINS, count - 1)
  return count - 1
end

-- An entry of a timeline that was written before the bucket stepped back, if it is among so many from the first place where it may lie.
local AGAIN_MAX, AGAIN_CHUNK = 512, 32

local function find_again(timeline, time, body)
  local after = digits(time)
  for _ = 1, AGAIN_MAX, AGAIN_CHUNK do
    local chunk = redis.call('ZRANGE', timeline, after, '+inf', 'BYSCORE', 'LIMIT', 0, AGAIN_CHUNK)
    for _, entry in ipairs(chunk) do
      if string.sub(entry, 9) == body then
        return entry
      end
    end
    if #chunk < AGAIN_CHUNK then
      return nil
    end
    after = '(' .. digits(struct.unpack('>I8', chunk[#chunk]))
  end
end
