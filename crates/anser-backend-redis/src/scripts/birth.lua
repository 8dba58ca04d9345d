-- Begins a bucket that is not there. KEYS: bucket. ARGV: the floor.

if redis.call('HSETNX', KEYS[1], 'life', (server_life())) == 1 then
  redis.call('HSET', KEYS[1], 'floor', digits(raised(tonumber(ARGV[1]))))
end
return 1
