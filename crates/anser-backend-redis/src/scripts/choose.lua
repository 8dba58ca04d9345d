-- Notes that this server is to be chosen in the life that it has, or that it is. KEYS: the choice. ARGV: that life, the number of the
-- choice; then, if it is to be, the highest floor of earlier lives, and the choice that the caller used last, or ''. Returns 1; or 0 if
-- there has been another choice meanwhile, or another life. If the server has nothing of that choice, its buckets step back from now
-- on; unless it has nothing of any.

-- So many of the choices are kept whose writes this server has, or has stepped back behind, those that came last.
local LINE_MAX = 64

local function choices_of(line)
  local choices = {}
  for choice in string.gmatch(line or '', '%S+') do
    choices[#choices + 1] = choice
    choices[choice] = true
  end
  return choices
end

local function lengthened(choices, choice)
  choices[#choices + 1] = choice
  return table.concat(choices, ' ', math.max(#choices - LINE_MAX + 1, 1))
end

local info = redis.call('INFO', 'replication')
if not string.find(info, 'role:master', 1, true) or string.match(info, 'master_replid:(%x+)') ~= ARGV[1] then
  return 0
end
local noted = redis.call('HMGET', KEYS[1], 'term', 'next', 'line')
local choices = choices_of(noted[3])
if ARGV[3] then
  if tonumber(noted[1] or 0) >= tonumber(ARGV[2]) then
    return 0
  end
  redis.call('HSET', KEYS[1], 'term', ARGV[2], 'life', '', 'next', ARGV[1], 'base', ARGV[3], 'top', ARGV[3])
  if ARGV[4] ~= '' and not choices[ARGV[4]] then
    if #choices > 0 then
      redis.call('HSET', KEYS[1], 'stepped', ARGV[2])
    end
    redis.call('HSET', KEYS[1], 'line', lengthened(choices, ARGV[4]))
  end
  return 1
end
if noted[1] ~= ARGV[2] or noted[2] ~= ARGV[1] then
  return 0
end
redis.call('HSET', KEYS[1], 'life', ARGV[1], 'next', '', 'line', lengthened(choices, ARGV[1] .. '-' .. ARGV[2]))
return 1
