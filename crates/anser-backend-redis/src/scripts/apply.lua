-- Applies one batch to one bucket, as a whole or not at all.
--
-- KEYS: the bucket, then for each user of the batch: state, timeline, list.
-- ARGV: 1 the server's life as the caller last saw it or '', 2 for how long keys are kept after their last entry (ms), 3 the most
--   entries of a timeline, 4 to 7 how a bucket is raised that came back without its newest writes, 8 the parts and rows, then the
--   strings that rows refer to by number.
-- Returns the server's life, then for each row: '' if it was skipped or is no entry; else 8 bytes of previous position, 8 bytes
--   of position, and where the user is online.
--
-- Everything is read before anything is written, so that what goes wrong changes nothing.

local bucket_key, known_life, keep_ms, entries_max = KEYS[1], ARGV[1], ARGV[2], tonumber(ARGV[3])
local limits = raise_limits(4)
local STRINGS_BEFORE = 8
local ROW_VERSION = 1
-- Of how many unread messages the times are kept, and the bytes of one of them.
local TIMES_MAX, TIME_BYTES = 128, 6
-- Keys of a user are trimmed and their expiry renewed when its positions have moved on by so much, or after so many changes.
local TIDY_MS, TIDY_CHANGES = 3600000, 64
-- The bytes of a UID, and of how many messages it is kept that they were taken back.
local UID_BYTES, RECALLED_MAX = 10, 1000
-- So many entries are trimmed at once, and so many conversations.
local TRIM_MAX = 1000
-- The conversations of a list. Older ones leave it, until something is said in them again.
local LIST_MAX = 10000

local function read_row(packed, at)
  local row = {}
  row.kind, row.offset, row.user, row.time, row.conversation, row.body, row.counts, at =
    struct.unpack('>c1c20I4I8I4I4B', packed, at)
  -- Number 0 is no string.
  row.conversation = row.conversation > 0 and ARGV[STRINGS_BEFORE + row.conversation] or nil
  row.body = row.body > 0 and ARGV[STRINGS_BEFORE + row.body] or nil
  return row, at
end

local function read_parts(packed)
  local parts, at = {}, 1
  while at <= #packed do
    local part, count = { rows = {} }, 0
    part.partition, part.claim, part.next, part.written, part.rebuild, part.stepped, count, at =
      struct.unpack('>Bc20c20c20I8I8I4', packed, at)
    for number = 1, count do
      part.rows[number], at = read_row(packed, at)
    end
    parts[#parts + 1] = part
  end
  return parts
end

local function read_bucket(parts)
  local fields, marks = { 'life', 'floor', 'expired', 'rebuilt', 'newest', 'newest_at', 'ahead', 'stepped', AGAINS }, {}
  for _, part in ipairs(parts) do
    fields[#fields + 1] = part.partition
  end
  local values = redis.call('HMGET', bucket_key, unpack(fields))
  for number, part in ipairs(parts) do
    local mark = values[number + 9] or NO_MARK
    marks[part.partition] = { claim = string.sub(mark, 1, 20), next = string.sub(mark, 21) }
    if values[9] and values[9] ~= '0' then
      marks[part.partition].again = redis.call('HGET', bucket_key, AGAIN .. part.partition)
    end
  end
  return {
    life = values[1],
    floor = tonumber(values[2]) or 0,
    expired = tonumber(values[3]) or 0,
    rebuilt = tonumber(values[4]) or 0,
    -- The newest position of all its users.
    newest = tonumber(values[5]) or 0,
    -- When it was noted; nil if that was by an older program.
    newest_at = tonumber(values[6]),
    -- In which life it was last raised above what lay ahead of the time.
    ahead = values[7],
    -- The last choice for which it stepped back.
    stepped = tonumber(values[8]) or 0,
    agains = tonumber(values[9]) or 0,
    marks = marks,
  }
end

local function parse_list_row(bytes)
  if not bytes then
    return { count = 0, read_until = 0, times = '', last = '' }
  end
  local version, count, read_until, times, at = struct.unpack('>BI8I8I2', bytes)
  if version ~= ROW_VERSION then
    error({ err = 'DAMAGED version ' .. version .. ' of a list row is not known' })
  end
  local last = at + times * TIME_BYTES
  return { count = count, read_until = read_until, times = string.sub(bytes, at, last - 1), last = string.sub(bytes, last) }
end

local function write_list_row(row)
  return struct.pack('>BI8I8I2', ROW_VERSION, row.count, row.read_until, #row.times / TIME_BYTES) .. row.times .. row.last
end

-- One more unread message; what is read already does not count.
local function add_unread(row, time)
  if time <= row.read_until then
    return
  end
  row.count = row.count + 1
  if #row.times == TIMES_MAX * TIME_BYTES then
    row.times = string.sub(row.times, TIME_BYTES + 1)
  end
  row.times = row.times .. struct.pack('>I6', time)
end

-- What was sent until then is read. If any of the kept times is among it, or all times are kept, then the rest is what counts.
local function read_until(row, time)
  if time <= row.read_until then
    return
  end
  row.read_until = time
  local at = 1
  while at < #row.times and struct.unpack('>I6', row.times, at) <= time do
    at = at + TIME_BYTES
  end
  if at > 1 or row.count * TIME_BYTES == #row.times then
    row.times = string.sub(row.times, at)
    row.count = #row.times / TIME_BYTES
  end
end

-- A message was taken back: it counts no more.
local function recall_unread(row, time)
  for at = #row.times - TIME_BYTES + 1, 1, -TIME_BYTES do
    if struct.unpack('>I6', row.times, at) == time then
      row.times = string.sub(row.times, 1, at - 1) .. string.sub(row.times, at + TIME_BYTES)
      row.count = row.count - 1
      return
    end
  end
end

local parts = read_parts(ARGV[STRINGS_BEFORE])
local bucket = read_bucket(parts)
local life, stepped = server_life()
local now = server_time()

for _, part in ipairs(parts) do
  if part.claim < bucket.marks[part.partition].claim then
    return redis.error_reply('STALE a newer claim than ' .. part.claim .. ' has written')
  end
end

-- The first write of a rebuild begins the bucket anew. Whoever has not begun that rebuild would write over what is to come.
local rebuild, is_late, is_anew = 0, false, false
for _, part in ipairs(parts) do
  rebuild = math.max(rebuild, part.rebuild)
end
if rebuild > bucket.rebuilt then
  is_anew = true
  bucket.rebuilt = rebuild
  bucket.floor = begin_anew(bucket_key, rebuild, raised(math.max(limits.floor, limits.shown)))
  for _, mark in pairs(bucket.marks) do
    mark.next, mark.again = NOTHING_APPLIED, nil
  end
end
for _, part in ipairs(parts) do
  is_late = is_late or part.rebuild < bucket.rebuilt
end
if is_late then
  return redis.error_reply('REBUILT the mailbox is being rebuilt, and the caller has not begun to replay for it')
end

-- Readers may have passed what the bucket has: it is written again, from where whoever writes it has to begin since. A number that the
-- server knows nothing of is of other times: it had no replicas meanwhile, or lost the note of its choices.
if bucket.stepped < stepped then
  step_back(bucket_key, stepped)
  bucket = read_bucket(parts)
end
local is_early = false
for _, part in ipairs(parts) do
  is_early = is_early or bucket.stepped == stepped and part.stepped < stepped
end

-- Every bucket is begun with a life, and whatever applies to it notes the present one: one without any came back without anything.
local is_lost = not (bucket.life or is_anew)

-- The bucket came back without its newest writes if a mark is below what the caller wrote, or may have if the server lives anew.
local is_behind = false
for _, part in ipairs(parts) do
  is_behind = is_behind or bucket.marks[part.partition].next < part.written
end
if is_behind or bucket.life ~= life or (known_life ~= '' and known_life ~= life) then
  raise(bucket_key, bucket, life, now, limits)
end
if is_lost then
  return redis.error_reply('LOST the store came back without anything of the bucket')
end
if is_behind or is_early then
  return redis.error_reply('ROLLED the store came back without its newest writes')
end

local users = {}

local function open_user(number)
  local user = users[number]
  if not user then
    local at = 3 * number - 1
    user = { state = KEYS[at], timeline = KEYS[at + 1], list = KEYS[at + 2], changes = 0, added = {}, rows = {} }
    local values = redis.call('HMGET', user.state, 'last', 'online', 'tidied', 'changes', 'rebuilt')
    user.last = math.max(tonumber(values[1]) or 0, bucket.floor)
    user.online = values[2] or ''
    user.tidied = tonumber(values[3])
    user.changes = tonumber(values[4]) or 0
    if is_older(values[5], bucket.rebuilt) then
      -- What there is was made before the rebuild. Of all that only this stays; `tidied` is without a value, so that the keys
      -- get their time to live.
      user.is_old, user.tidied, user.recalled = true, nil, redis.call('HGET', user.state, 'recalled') or ''
    else
      -- A key of another type fails here, while nothing is written: what was written without its mark would be written again.
      redis.call('ZCARD', user.timeline)
      redis.call('ZCARD', user.list)
    end
    users[number] = user
  end
  user.changes = user.changes + 1
  return user
end

local function open_list_row(user, conversation)
  local row = user.rows[conversation]
  if not row then
    row = parse_list_row(not user.is_old and redis.call('HGET', user.state, conversation))
    user.rows[conversation] = row
  end
  return row
end

-- UIDs one behind the other, with one more; those that came first go if there are too many.
local function add_uid(uids, uid)
  local at = string.find(uids, uid, 1, true)
  while at and at % UID_BYTES ~= 1 do
    at = string.find(uids, uid, at + 1, true)
  end
  return at and uids or string.sub(uids .. uid, -RECALLED_MAX * UID_BYTES)
end

-- What each kind of row does. Returns the answer for it.
local kinds = {}

local function add_entry(user, row)
  local previous = user.last
  local position = math.max(row.time, previous + 1)
  user.last = position
  bucket.newest = math.max(bucket.newest, position)
  user.added[#user.added + 1] = position
  user.added[#user.added + 1] = struct.pack('>I8', position) .. row.body
  return struct.pack('>I8I8', previous, position) .. user.online
end

-- A row that was written before the bucket stepped back. An entry gets one more place. It keeps those that it has until all of its
-- partition is written again: whoever has not come to them yet would find it behind newer ones. All else of it is as it was.
local function write_again(user, row, old)
  if row.kind ~= 'E' then
    return ''
  end
  if not user.is_old then
    for _, place in ipairs(old_places(user, row.time, row.body)) do
      old[#old + 1], old[#old + 2] = digits(struct.unpack('>I8', place)), place .. user.timeline
    end
  end
  return add_entry(user, row)
end

-- An entry for the timeline; with a conversation, for the list.
function kinds.E(user, row)
  if row.conversation then
    local listed = open_list_row(user, row.conversation)
    listed.last = struct.pack('>I8', row.time) .. row.body
    listed.shown_at = row.time
    if row.counts == 1 then
      add_unread(listed, row.time)
    end
  end
  return add_entry(user, row)
end

-- The user has read a conversation up to a time. Of one that is not listed that is noted too, for what is late: not of any number.
function kinds.R(user, row)
  local listed = open_list_row(user, row.conversation)
  local is_known = listed.last ~= '' or listed.read_until > 0
  if is_known or user.is_old or redis.call('HLEN', user.state) < 2 * LIST_MAX then
    read_until(listed, row.time)
  end
  return ''
end

-- A message was taken back. The body: its UID, then time and body of the one that did it, for the list.
function kinds.C(user, row)
  local uid, by = string.sub(row.body, 1, UID_BYTES), string.sub(row.body, UID_BYTES + 1)
  user.recalled = add_uid(user.recalled or redis.call('HGET', user.state, 'recalled') or '', uid)
  local listed = open_list_row(user, row.conversation)
  recall_unread(listed, row.time)
  if listed.last ~= '' and struct.unpack('>I8', listed.last) == row.time then
    listed.last, listed.shown_at = by, struct.unpack('>I8', by)
  end
  return ''
end

-- A conversation leaves the list.
function kinds.X(user, row)
  local listed = open_list_row(user, row.conversation)
  listed.last, listed.shown_at, listed.is_removed = '', nil, true
  listed.count, listed.times = 0, ''
  return ''
end

-- Trims a timeline by age and by number, and a list by number, and lets the keys of the user live on.
local function tidy(user)
  local old = redis.call('ZCOUNT', user.timeline, '-inf', '(' .. digits(bucket.expired))
  old = math.min(math.max(old, redis.call('ZCARD', user.timeline) - entries_max), TRIM_MAX)
  if old > 0 then
    redis.call('ZREMRANGEBYRANK', user.timeline, 0, old - 1)
  end
  local beyond = math.min(redis.call('ZCARD', user.list) - LIST_MAX, TRIM_MAX)
  if beyond > 0 then
    redis.call('HDEL', user.state, unpack(redis.call('ZRANGE', user.list, 0, beyond - 1)))
    redis.call('ZREMRANGEBYRANK', user.list, 0, beyond - 1)
  end
  for _, key in ipairs({ user.state, user.timeline, user.list }) do
    redis.call('PEXPIRE', key, keep_ms)
  end
end

local function add_all(key, scores_and_members)
  for first = 1, #scores_and_members, 1000 do
    redis.call('ZADD', key, unpack(scores_and_members, first, math.min(first + 999, #scores_and_members)))
  end
end

local function write_user(user)
  local is_tidied = not user.tidied or user.last - user.tidied >= TIDY_MS or user.changes >= TIDY_CHANGES
  if is_tidied then
    user.tidied, user.changes = user.last, 0
  end
  local fields = { 'changes', user.changes, 'tidied', digits(user.tidied) }
  if user.is_old then
    redis.call('UNLINK', user.state, user.timeline, user.list)
    for field, value in pairs({ rebuilt = digits(bucket.rebuilt), last = digits(user.last), online = user.online }) do
      if value ~= '' then
        fields[#fields + 1] = field
        fields[#fields + 1] = value
      end
    end
  end
  if is_tidied and user.recalled then
    user.recalled = kept_recalled(user.recalled, bucket.expired)
  end
  if user.recalled and user.recalled ~= '' then
    fields[#fields + 1] = 'recalled'
    fields[#fields + 1] = user.recalled
  end
  if #user.added > 0 then
    fields[#fields + 1] = 'last'
    fields[#fields + 1] = digits(user.last)
    add_all(user.timeline, user.added)
  end
  local shown = {}
  for conversation, row in pairs(user.rows) do
    if row.last == '' and row.read_until == 0 then
      redis.call('HDEL', user.state, conversation)
    else
      fields[#fields + 1] = conversation
      fields[#fields + 1] = write_list_row(row)
    end
    if row.shown_at then
      shown[#shown + 1] = digits(row.shown_at)
      shown[#shown + 1] = conversation
    elseif row.is_removed then
      redis.call('ZREM', user.list, conversation)
    end
  end
  add_all(user.list, shown)
  for first = 1, #fields, 1000 do
    redis.call('HSET', user.state, unpack(fields, first, math.min(first + 999, #fields)))
  end
  if is_tidied then
    tidy(user)
  end
end

local answers = { life }
for _, part in ipairs(parts) do
  local mark = bucket.marks[part.partition]
  local from = mark.next
  mark.old = mark.old or {}
  for _, row in ipairs(part.rows) do
    local answer = ''
    if row.offset >= from then
      local write = mark.again and row.offset < mark.again and write_again or kinds[row.kind]
      answer = write(open_user(row.user), row, mark.old)
    end
    answers[#answers + 1] = answer
  end
  mark.claim = part.claim > mark.claim and part.claim or mark.claim
  mark.next = part.next > mark.next and part.next or mark.next
end
for _, user in pairs(users) do
  write_user(user)
end
local marks = { 'newest', digits(bucket.newest), 'newest_at', digits(now) }
for partition, mark in pairs(bucket.marks) do
  marks[#marks + 1] = partition
  marks[#marks + 1] = mark.claim .. mark.next
end
redis.call('HSET', bucket_key, unpack(marks))
for partition, mark in pairs(bucket.marks) do
  if #mark.old > 0 then
    note_old(bucket_key, partition, mark.old, keep_ms)
  end
  if mark.again and mark.again <= mark.next then
    bucket.agains = end_again(bucket_key, partition, bucket.agains)
  end
end
return answers
