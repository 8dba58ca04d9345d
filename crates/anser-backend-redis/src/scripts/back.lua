-- How a bucket steps back that may have what was gone when readers were shown other things; it stands before the scripts that find that out.

-- All partitions are written again from where they are replayed, above what readers were shown. Notes the choice for which that is done.
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
