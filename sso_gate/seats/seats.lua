-- The seat check before a first admission: one read of three numbers that belong together.
-- KEYS: the organization's seat counter. Returns 'free', 'full' or, when nothing is known, 'unknown'.
local pool = redis.call('HMGET', KEYS[1], 'purchased', 'used', 'reserved')
if not (pool[1] and pool[2] and pool[3]) then
  return 'unknown'
end
if tonumber(pool[2]) + tonumber(pool[3]) < tonumber(pool[1]) then
  return 'free'
end
return 'full'
