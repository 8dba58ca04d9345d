-- Names whose lease has run out, and that were not given up. KEYS: the last word of each name. ARGV: for how long one is missed (ms).
-- Returns for each how long ago that was (ms), and the member's bytes.

local now, missed_ms, answer = server_time(), tonumber(ARGV[1]), {}
local words = redis.call('HGETALL', KEYS[1])
for at = 1, #words, 2 do
  local ends = tonumber(string.sub(words[at + 1], 1, 20))
  if now - ends > missed_ms then
    redis.call('HDEL', KEYS[1], words[at])
  elseif now >= ends then
    answer[#answer + 1] = string.format('%.0f', now - ends)
    answer[#answer + 1] = string.sub(words[at + 1], 21)
  end
end
return answer
