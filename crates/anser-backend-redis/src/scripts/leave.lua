-- Ends the lease of a member. KEYS: the members; the last word of each name. ARGV: its id.

local lease = redis.call('HGET', KEYS[1], ARGV[1])
redis.call('HDEL', KEYS[1], ARGV[1])
local words = redis.call('HGETALL', KEYS[2])
for at = 1, #words, 2 do
  if words[at + 1] == lease then
    redis.call('HDEL', KEYS[2], words[at])
  end
end
return 1
