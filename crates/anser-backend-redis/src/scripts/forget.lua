-- Gives up a name whose lease has run out. KEYS: the last word of each name. ARGV: the name. Returns 1 if there was one.

server_life()
local word = redis.call('HGET', KEYS[1], ARGV[1])
if word and server_time() >= word_ends(word) then
  return redis.call('HDEL', KEYS[1], ARGV[1])
end
return 0
