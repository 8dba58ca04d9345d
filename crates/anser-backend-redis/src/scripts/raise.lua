-- Raises a number in a field of a bucket. KEYS: bucket. ARGV: field, number.

server_life()
if tonumber(ARGV[2]) > tonumber(redis.call('HGET', KEYS[1], ARGV[1]) or 0) then
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
end
return 1
