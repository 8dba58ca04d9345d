-- Notes from where partitions are to be replayed; never moves back, and only for the newest rebuild. KEYS: the marks. ARGV: the number
-- of the choice after which they were noted; then partitions, marks, and the rebuild to which they belong in turn. Returns 0 if there has
-- been another choice: then this server may never have had what they stand for.

server_life()
if CHOICE and redis.call('HGET', CHOICE, 'term') ~= ARGV[1] then
  return 0
end
local rebuild = tonumber(redis.call('HGET', KEYS[1], 'rebuild') or 0)
for at = 2, #ARGV, 3 do
  local partition, mark = ARGV[at], ARGV[at + 1]
  if tonumber(ARGV[at + 2]) == rebuild and mark > (redis.call('HGET', KEYS[1], partition) or '') then
    redis.call('HSET', KEYS[1], partition, mark)
  end
end
return 1
