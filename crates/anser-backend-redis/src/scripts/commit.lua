-- Notes from where partitions are to be replayed; never moves back, and only for the newest rebuild. KEYS: the marks. ARGV:
-- partitions, marks, and the rebuild to which they belong in turn.

server_life()
local rebuild = tonumber(redis.call('HGET', KEYS[1], 'rebuild') or 0)
for at = 1, #ARGV, 3 do
  local partition, mark = ARGV[at], ARGV[at + 1]
  if tonumber(ARGV[at + 2]) == rebuild and mark > (redis.call('HGET', KEYS[1], partition) or '') then
    redis.call('HSET', KEYS[1], partition, mark)
  end
end
return 1
