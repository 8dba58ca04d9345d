-- The members with a running lease; the others go. KEYS: the members. ARGV: for how long leases run (ms).
-- Returns '1' if the list is kept for as long as that, so that it has all who are there, else '0'; then the bytes of each member.

local now, lease_ms = server_time(), tonumber(ARGV[1])
local leases, since = read_leases(now, lease_ms)
local answer = { now - since >= lease_ms and '1' or '0' }
for id, lease in pairs(leases) do
  if lease.ends > now then
    answer[#answer + 1] = lease.bytes
  else
    redis.call('HDEL', KEYS[1], id)
  end
end
return answer
