-- Notes where a user has terminals, or that it has none there any more.
--
-- KEYS: state. ARGV: '+' or '-', node, its newest connection (20 digits), for how long the key is kept (ms).
-- Returns where the user is: for each node its 16 digits and the 20 of its newest connection, the one noted last at the end.

local NODE_BYTES, ALL_BYTES = 16, 36
-- Nodes that died without saying so are pushed out by newer ones.
local NODES_MAX = 8

server_life()
local is_on, node, connection = ARGV[1] == '+', ARGV[2], ARGV[3]
local known, kept = redis.call('HGET', KEYS[1], 'online') or '', ''
for at = 1, #known, ALL_BYTES do
  local place = string.sub(known, at, at + ALL_BYTES - 1)
  local newest = string.sub(place, NODE_BYTES + 1)
  if string.sub(place, 1, NODE_BYTES) ~= node then
    kept = kept .. place
  elseif is_on then
    connection = newest > connection and newest or connection
  elseif newest > connection then
    kept = kept .. place
  end
end
if is_on then
  kept = string.sub(kept .. node .. connection, -NODES_MAX * ALL_BYTES)
end
if kept == '' then
  redis.call('HDEL', KEYS[1], 'online')
else
  if kept ~= known then
    redis.call('HSET', KEYS[1], 'online', kept)
  end
  redis.call('PEXPIRE', KEYS[1], ARGV[4])
end
return kept
