-- Renews the lease of a member. KEYS: the members; the last word of each name. ARGV: for how long leases run (ms), its id, its bytes,
-- its name, how many names are kept.

local now, lease_ms = server_time(), tonumber(ARGV[1])
read_leases(now, lease_ms)
local ends = string.format('%020.0f', now + lease_ms)
redis.call('HSET', KEYS[1], ARGV[2], ends .. ARGV[3])
redis.call('HSET', KEYS[2], ARGV[4], ends .. ARGV[2] .. ARGV[3])
-- Nodes whose names are made up anew at each start, and that die: nobody can miss so many.
if redis.call('HLEN', KEYS[2]) > tonumber(ARGV[5]) then
  local words = redis.call('HGETALL', KEYS[2])
  for at = 1, #words, 2 do
    if now >= word_ends(words[at + 1]) then
      redis.call('HDEL', KEYS[2], words[at])
    end
  end
end
return 1
