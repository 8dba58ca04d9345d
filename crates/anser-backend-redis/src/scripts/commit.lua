-- Notes from where partitions are to be replayed; never moves back. KEYS: the marks. ARGV: partitions and marks in turn.

for at = 1, #ARGV, 2 do
  if ARGV[at + 1] > (redis.call('HGET', KEYS[1], ARGV[at]) or '') then
    redis.call('HSET', KEYS[1], ARGV[at], ARGV[at + 1])
  end
end
return 1
