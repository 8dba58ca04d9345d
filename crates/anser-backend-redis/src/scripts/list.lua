-- Reads a conversation list, newest first.
--
-- KEYS: bucket, state, list. ARGV: the byte of the only type wanted or '', before which time or '+inf', the most rows.
-- Returns conversations and their rows in turn: as many as wanted, and those that are as new as the last of them, since the
--   order among these is the caller's.

local CHUNK = 200

server_life()
local kind, before, wanted = ARGV[1], ARGV[2], tonumber(ARGV[3])
if wanted == 0 or is_older(redis.call('HGET', KEYS[2], 'rebuilt'), redis.call('HGET', KEYS[1], 'rebuilt')) then
  return {}
end
local upper = before == '+inf' and before or '(' .. before
local found, last_time, skip = {}, nil, 0

-- Whether enough was found before this one.
local function is_enough(time)
  return #found >= wanted and time ~= last_time
end

local function collect()
  while true do
    local chunk = redis.call('ZRANGE', KEYS[3], upper, '-inf', 'BYSCORE', 'REV', 'LIMIT', skip, CHUNK, 'WITHSCORES')
    for at = 1, #chunk, 2 do
      local conversation, time = chunk[at], chunk[at + 1]
      if is_enough(time) then
        return
      end
      if kind == '' or string.sub(conversation, 1, 1) == kind then
        found[#found + 1] = conversation
        last_time = time
      end
    end
    if #chunk < 2 * CHUNK then
      return
    end
    skip = skip + CHUNK
  end
end

collect()
local answer = {}
for _, conversation in ipairs(found) do
  answer[#answer + 1] = conversation
  answer[#answer + 1] = redis.call('HGET', KEYS[2], conversation)
end
return answer
