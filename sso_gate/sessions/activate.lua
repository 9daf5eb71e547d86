-- Turns a pending session into an active one; one script, so that a purge cannot slip between the look and the write.
-- KEYS: session, the member's index, the member's floor. ARGV: session as JSON, digest, generation, idle seconds, longest seconds.
-- Returns 1, or 0 when the pending session is gone or the seat's generation was ended meanwhile.
if redis.call('EXISTS', KEYS[1]) == 0 then
  return 0
end
local floor = redis.call('GET', KEYS[3])
if floor and tonumber(ARGV[3]) < tonumber(floor) then
  redis.call('DEL', KEYS[1])
  return 0
end
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[4])
redis.call('ZADD', KEYS[2], ARGV[3], ARGV[2])
redis.call('EXPIRE', KEYS[2], ARGV[5])
return 1
