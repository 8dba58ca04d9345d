-- Raises the time before which entries of a bucket are gone. KEYS: bucket. ARGV: the time, and for how long entries are kept (ms): no clock
-- but that of this server lets go of one that is younger.

server_life()
local expired = math.min(tonumber(ARGV[1]), server_time() - tonumber(ARGV[2]))
if expired > tonumber(redis.call('HGET', KEYS[1], 'expired') or 0) then
  redis.call('HSET', KEYS[1], 'expired', digits(expired))
end
return 1
