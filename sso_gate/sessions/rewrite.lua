-- Writes an active session anew without bringing back one that was ended meanwhile, and keeps its lifetime.
-- KEYS: session. ARGV: session as JSON. Returns 1, or 0 when it is gone.
if redis.call('EXISTS', KEYS[1]) == 0 then
  return 0
end
redis.call('SET', KEYS[1], ARGV[1], 'KEEPTTL')
return 1
