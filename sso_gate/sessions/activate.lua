-- Turns a pending session into an active one; one script, so that a purge or a sign-out cannot slip between look and write.
-- KEYS: session, the session that it stems from (itself, for the gate's own), the member's index, the member's floor, then
-- the names that the identity provider may use for it. ARGV: session as JSON, digest, generation, idle seconds, longest
-- seconds, prefix of session keys (same slot), most in the index, member.
-- Returns 1, or 0 when the pending session or its parent is gone, or the seat's generation was ended meanwhile.
if redis.call('EXISTS', KEYS[1]) == 0 or redis.call('EXISTS', KEYS[2]) == 0 then
  return 0
end
local floor = redis.call('GET', KEYS[4])
if floor and tonumber(ARGV[3]) < tonumber(floor) then
  redis.call('DEL', KEYS[1])
  return 0
end
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[4])
redis.call('ZADD', KEYS[3], ARGV[3], ARGV[2])
redis.call('EXPIRE', KEYS[3], ARGV[5])
for at = 5, #KEYS do
  redis.call('SET', KEYS[at], ARGV[8], 'EX', ARGV[5])
end
if redis.call('ZCARD', KEYS[3]) > tonumber(ARGV[7]) then
  -- Sessions that ran out or were signed out one by one are still listed: without this a daily visitor's index grows for ever.
  for _, digest in ipairs(redis.call('ZRANGE', KEYS[3], 0, -1)) do
    if redis.call('EXISTS', ARGV[6] .. digest) == 0 then
      redis.call('ZREM', KEYS[3], digest)
    end
  end
end
return 1
