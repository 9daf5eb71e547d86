-- The seat check before an admission, one read of three numbers that belong together; and the room for the session that
-- may come of it, which is a pending one until then.
-- KEYS: the organization's seat counter, the session. ARGV: seconds that the room is kept for.
-- Returns 'free', 'full' or, when nothing is known, 'unknown'.
redis.call('SET', KEYS[2], '{}', 'EX', ARGV[1])
local pool = redis.call('HMGET', KEYS[1], 'purchased', 'used', 'reserved')
if not (pool[1] and pool[2] and pool[3]) then
  return 'unknown'
end
if tonumber(pool[2]) + tonumber(pool[3]) < tonumber(pool[1]) then
  return 'free'
end
return 'full'
