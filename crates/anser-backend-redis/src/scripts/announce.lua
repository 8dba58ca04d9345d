-- Renews the lease of a member. KEYS: the members. ARGV: for how long leases run (ms), its id, its bytes.

local now, lease_ms = server_time(), tonumber(ARGV[1])
read_leases(now, lease_ms)
redis.call('HSET', KEYS[1], ARGV[2], string.format('%020.0f', now + lease_ms) .. ARGV[3])
return 1
