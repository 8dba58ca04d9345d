-- Begins a bucket anew that a rebuild has not touched. KEYS: bucket. ARGV: the rebuild, the floor.

server_life()
if tonumber(ARGV[1]) > tonumber(redis.call('HGET', KEYS[1], 'rebuilt') or 0) then
  begin_anew(KEYS[1], tonumber(ARGV[1]), raised(tonumber(ARGV[2])))
end
return 1
