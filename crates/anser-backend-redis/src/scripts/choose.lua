-- Notes that this server is to be chosen in the life that it has, or that it is. KEYS: the choice. ARGV: that life, the number of the
-- choice; then, if it is to be, the highest floor of earlier lives. Returns 1; or 0 if there has been another choice meanwhile, or
-- another life.

local info = redis.call('INFO', 'replication')
if not string.find(info, 'role:master', 1, true) or string.match(info, 'master_replid:(%x+)') ~= ARGV[1] then
  return 0
end
local noted = redis.call('HMGET', KEYS[1], 'term', 'next')
if ARGV[3] then
  if tonumber(noted[1] or 0) >= tonumber(ARGV[2]) then
    return 0
  end
  redis.call('HSET', KEYS[1], 'term', ARGV[2], 'life', '', 'next', ARGV[1], 'base', ARGV[3], 'top', ARGV[3])
  return 1
end
if noted[1] ~= ARGV[2] or noted[2] ~= ARGV[1] then
  return 0
end
redis.call('HSET', KEYS[1], 'life', ARGV[1], 'next', '')
return 1
