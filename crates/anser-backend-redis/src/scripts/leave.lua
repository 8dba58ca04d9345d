-- Ends the lease of a member, which is not missed. KEYS: the members; the last word of each name. ARGV: its id.

server_life()
redis.call('HDEL', KEYS[1], ARGV[1])
local words = redis.call('HGETALL', KEYS[2])
for at = 1, #words, 2 do
  if string.sub(words[at + 1], WORD_ID, WORD_BYTES - 1) == ARGV[1] then
    redis.call('HDEL', KEYS[2], words[at])
  end
end
return 1
