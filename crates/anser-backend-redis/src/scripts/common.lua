-- What several scripts share; it stands before each of them.
--
-- Positions and times are milliseconds below 2^53: Lua computes with them exactly. Claims, offsets and connection ids may be
-- larger. They come as 20 digits and are only ever compared, as texts. No other texts are compared for order, since that
-- depends on the locale of the server.

-- The life of this server as a primary. It is another one after each restart and each fail-over, which is when writes may be
-- lost. A replica has no such life: nothing is read from it, and nothing decided by it.
local function server_life()
  local info = redis.call('INFO', 'replication')
  if not string.find(info, 'role:master', 1, true) then
    error({ err = 'READONLY this server is a replica' })
  end
  return string.match(info, 'master_replid:(%x+)')
end

-- A position or time as text, with all its digits.
local function digits(number)
  return string.format('%.0f', number)
end
