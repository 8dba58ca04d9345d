-- How a bucket is raised that may have come back without its newest writes; it stands before the scripts that find that out.
--
-- By how many leads more, where positions lie ahead of the time; and how many entries of one user come in a millisecond there at most. With
-- a lead of four seconds that leaves room for twenty thousand entries of one user within what is forgotten at once.
local AHEAD_LEADS, ENTRIES_PER_MS = 5, 5

-- What callers say of it, from an argument on: four numbers. `floor` is the lead above the time, `shown` the newest position of the bucket
-- that the caller was ever told, `lead` that lead, and `forget_ms` for how long writes may be forgotten.
local function raise_limits(first)
  local numbers = {}
  for at = 1, 4 do
    numbers[at] = tonumber(ARGV[first + at - 1])
  end
  return { floor = numbers[1], shown = numbers[2], lead = numbers[3], forget_ms = numbers[4] }
end

-- How many choices of a primary lie between two lives: at least one. Without choices nobody counts.
local function choices_between(before, now)
  local number = '%-(%d+)$'
  return math.max((tonumber(string.match(now, number)) or 1) - (tonumber(string.match(before or '', number)) or 0), 1)
end

-- For how long something may have been placed since `at` that is gone, in milliseconds: until the server began, if that was later.
local function passed_since(at, now)
  local up = tonumber(string.match(redis.call('INFO', 'server'), 'uptime_in_seconds:(%d+)') or 0) * 1000
  return math.max((now - up > at and now - up or now) - at, 0)
end

-- From now on what comes is above all that anybody was shown of a bucket. That is above `limits.floor`, unless positions lay ahead of
-- the time: as far as is known now, or when what is left was noted. Then it is above the newest that is known, by a bound, as what was shown
-- and is gone came behind it. What is left may itself be from before an earlier loss, with a raise like this one and what was shown above
-- it gone: so each choice since counts, or, where nobody chooses, the time that has passed, the first of it with all entries that
-- come in it. By that much once in a life, by whoever is first to know: all that is gone came before, and otherwise each loss would bring
-- positions further ahead of the time than passes until the next one.
--
-- `bucket` is what is left: life, ahead, floor, newest and newest_at. Notes the life.
local function raise(bucket_key, bucket, life, now, limits)
  local known, ahead_max = math.max(bucket.newest, limits.shown), AHEAD_LEADS * limits.lead
  local floor = math.max(limits.floor, known)
  local was_ahead = bucket.newest > (bucket.newest_at or now) + limits.lead
    and bucket.newest > limits.floor - limits.forget_ms
  if bucket.ahead ~= life and (known > limits.floor or was_ahead) then
    local above = known + ahead_max * choices_between(bucket.life, life)
    if not CHOICE then
      local passed = passed_since(bucket.newest_at or now, now)
      above = above + passed + (ENTRIES_PER_MS - 1) * math.min(passed, limits.lead)
    end
    floor = math.max(floor, above)
    redis.call('HSET', bucket_key, 'ahead', life)
  end
  bucket.floor = math.max(bucket.floor, raised(floor))
  redis.call('HSET', bucket_key, 'life', life, 'floor', digits(bucket.floor))
end
