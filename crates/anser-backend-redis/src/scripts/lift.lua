-- Lifts the head of a timeline. KEYS: state. ARGV: to where, for how long the key is kept (ms).

server_life()
local last = tonumber(redis.call('HGET', KEYS[1], 'last') or 0)
if tonumber(ARGV[1]) > last then
  redis.call('HSET', KEYS[1], 'last', ARGV[1])
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return 1
