-- Notes that another server is about to be chosen. KEYS: the choice. ARGV: the number of the last choice that this server knew of
-- when it was asked, the number of the new one. Returns the highest floor that any bucket had here; or -1 if this server has heard
-- of another choice meanwhile.

local noted = redis.call('HMGET', KEYS[1], 'term', 'base', 'top')
if (noted[1] or '0') ~= ARGV[1] then
  return -1
end
redis.call('HSET', KEYS[1], 'term', ARGV[2], 'life', '', 'next', '')
return math.max(tonumber(noted[2] or 0), tonumber(noted[3] or 0))
