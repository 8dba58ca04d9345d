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

-- How many old places are taken away at once; and how many entries of a timeline are looked at for them, from how many times on.
local TAKE_MAX, LOOK_MAX, LOOK_CHUNK, LOOKS_MAX = 500, 4096, 256, 8

-- Where entries of a timeline lie from a sent time on, by what is in them: nothing lies before its sent time. And whether that is not all.
local function places_from(timeline, time)
  local places, from = {}, digits(time)
  for _ = 1, LOOK_MAX, LOOK_CHUNK do
    local chunk = redis.call('ZRANGE', timeline, from, '+inf', 'BYSCORE', 'LIMIT', 0, LOOK_CHUNK)
    for _, entry in ipairs(chunk) do
      local body = string.sub(entry, 9)
      places[body] = places[body] or {}
      table.insert(places[body], string.sub(entry, 1, 8))
    end
    if #chunk < LOOK_CHUNK then
      return places, false
    end
    from = '(' .. digits(struct.unpack('>I8', chunk[#chunk]))
  end
  return places, true
end

-- The places that an entry has. One look does for all of a user, unless there is too much behind the first of them.
local function old_places(user, time, body)
  local looks = user.looks or 0
  local is_before = looks == 0 or time < user.looked_from
  if is_before or not user.places[body] and user.is_cut and looks < LOOKS_MAX then
    user.looked_from, user.looks = time, looks + 1
    user.places, user.is_cut = places_from(user.timeline, time)
  end
  return user.places[body] or {}
end

-- Where it is noted which places of a partition are to be taken away: by position, the position and the timeline.
local function old_key(bucket_key, partition)
  return bucket_key .. ':old:' .. partition
end

-- Notes old places: positions, and members of the note, in turn.
local function note_old(bucket_key, partition, old, keep_ms)
  local key = old_key(bucket_key, partition)
  for first = 1, #old, 1000 do
    redis.call('ZADD', key, unpack(old, first, math.min(first + 999, #old)))
  end
  redis.call('PEXPIRE', key, keep_ms)
end

-- A partition is written again up to where it was, so that its entries are not needed any more where they were. The newest are taken away
-- first: what is left for the next time is what comes first, and nobody is shown something newer before it. When nothing is left
-- it is as any other. Returns in how many fields that is still to come.
local function end_again(bucket_key, partition, count)
  local taken = redis.call('ZPOPMAX', old_key(bucket_key, partition), TAKE_MAX)
  for at = 1, #taken, 2 do
    local position = digits(struct.unpack('>I8', taken[at]))
    -- What is no timeline any more has nothing to take away.
    redis.pcall('ZREMRANGEBYSCORE', string.sub(taken[at], 9), position, position)
  end
  if #taken == 2 * TAKE_MAX then
    return count
  end
  redis.call('HDEL', bucket_key, AGAIN .. partition)
  redis.call('HSET', bucket_key, AGAINS, count - 1)
  return count - 1
end
