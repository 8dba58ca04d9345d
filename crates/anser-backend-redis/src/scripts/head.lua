-- The newest position of a timeline. KEYS: bucket, state.

server_life()
local last, floor = redis.call('HGET', KEYS[2], 'last'), redis.call('HGET', KEYS[1], 'floor')
return math.max(tonumber(last or 0), tonumber(floor or 0))
