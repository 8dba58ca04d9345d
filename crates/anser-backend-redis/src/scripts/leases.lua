-- Reads the leases of all members. KEYS: the members, a hash of ids to the end of the lease (20 digits) and the member's bytes; beside
-- them the life of the server, and since when the list is kept in that life.
--
-- Leases run by the clock of this server. When the server lives anew, its clock may be another's, or nobody could renew while it
-- was away: then each lease begins again, so that nobody is gone for this alone. A list that was wiped begins again as well.
-- Returns the leases, and since when the list is kept.
local function read_leases(now, lease_ms)
  local life, fields, leases, is_known, since = server_life(), redis.call('HGETALL', KEYS[1]), {}, false, 0
  for at = 1, #fields, 2 do
    local id, value = fields[at], fields[at + 1]
    if id == 'life' then
      is_known = value == life
    elseif id == 'since' then
      since = tonumber(value)
    else
      leases[id] = { ends = tonumber(string.sub(value, 1, 20)), bytes = string.sub(value, 21) }
    end
  end
  if not is_known then
    since = now
    redis.call('HSET', KEYS[1], 'life', life, 'since', digits(since))
    for id, lease in pairs(leases) do
      lease.ends = math.max(lease.ends, now + lease_ms)
      redis.call('HSET', KEYS[1], id, string.format('%020.0f', lease.ends) .. lease.bytes)
    end
  end
  return leases, since
end
