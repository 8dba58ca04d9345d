-- How a bucket is raised that may have come back without its newest writes; it stands before the scripts that find that out.
--
-- More entries than any user gets in a millisecond.
local ENTRIES_PER_MS = 20

-- How many choices of a primary lie between two lives: at least one. Without choices nobody counts.
local function choices_between(before, now)
  local number = '%-(%d+)$'
  return math.max((tonumber(string.match(now, number)) or 1) - (tonumber(string.match(before or '', number)) or 0), 1)
end

-- From now on what comes is above all that anybody was shown of a bucket, and its cursors are below what it tells. That is above
-- `limits.floor`; and where the newest position that is left lies ahead of that, above it by `limits.ahead_max`, as what was shown and is
-- gone came behind it. What is left may itself be from before an earlier loss, with a raise like this one and what was shown above it gone:
-- so each choice since counts. Where nobody chooses, the time that has passed counts instead, with all entries that come in it, but
-- for no longer than `limits.forget_ms` with more than one in a millisecond. Once in a life is enough: all that is gone came before.
--
-- `bucket` is what is left: life, floor, newest and newest_at. Notes the life.
local function raise(bucket_key, bucket, life, now, limits)
  local floor = limits.floor
  if bucket.life ~= life and bucket.newest > floor then
    floor = bucket.newest + limits.ahead_max * choices_between(bucket.life, life)
    if not CHOICE then
      local passed = math.max(now - (bucket.newest_at or now), 0)
      floor = floor + passed + (ENTRIES_PER_MS - 1) * math.min(passed, limits.forget_ms)
    end
  end
  bucket.floor = math.max(bucket.floor, raised(floor))
  redis.call('HSET', bucket_key, 'life', life, 'floor', digits(bucket.floor))
end
