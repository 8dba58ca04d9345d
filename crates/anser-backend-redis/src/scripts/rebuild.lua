-- Asks for a rebuild: the places to replay from go. KEYS: the places. ARGV: the time, and '+' if it is asked for now; '=' if it was
-- asked for before, and Redis came back without it. Returns the time of the newest one, which is above all before.

server_life()
local known, time = tonumber(redis.call('HGET', KEYS[1], 'rebuild') or 0), tonumber(ARGV[1])
if ARGV[2] == '+' then
  time = math.max(time, known + 1)
end
if time > known then
  redis.call('DEL', KEYS[1])
  redis.call('HSET', KEYS[1], 'rebuild', digits(time))
  return time
end
return known
