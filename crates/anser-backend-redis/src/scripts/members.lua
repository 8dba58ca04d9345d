-- The members with a running lease; the others go. KEYS: the members. ARGV: for how long leases run (ms).
-- Returns the bytes of each member.

local now, answer = server_time(), {}
for id, lease in pairs(read_leases(now, tonumber(ARGV[1]))) do
  if lease.ends > now then
    answer[#answer + 1] = lease.bytes
  else
    redis.call('HDEL', KEYS[1], id)
  end
end
return answer
