-- Names whose lease has run out, and that were not given up. KEYS: the last word of each name. ARGV: for how long one is missed (ms).
-- Returns for each how long ago that was (ms), and the member's bytes.

server_life()
local now, missed_ms, answer = server_time(), tonumber(ARGV[1]), {}
local words = redis.call('HGETALL', KEYS[1])
for at = 1, #words, 2 do
  local ago = now - word_ends(words[at + 1])
  if ago > missed_ms then
    redis.call('HDEL', KEYS[1], words[at])
  elseif ago >= 0 then
    answer[#answer + 1] = digits(ago)
    answer[#answer + 1] = string.sub(words[at + 1], WORD_BYTES)
  end
end
return answer
