-- Renews the lease of a member. KEYS: the members; the last word of each name. ARGV: for how long leases run (ms), its id, its bytes,
-- its name.

local now, lease_ms = server_time(), tonumber(ARGV[1])
read_leases(now, lease_ms)
local lease = string.format('%020.0f', now + lease_ms) .. ARGV[3]
redis.call('HSET', KEYS[1], ARGV[2], lease)
redis.call('HSET', KEYS[2], ARGV[4], lease)
return 1
