-- Uses up a pending login and the proof that answers it together: of two workers that get the same message one wins.
-- KEYS: the proof, the pending login. ARGV: seconds to remember the proof, '1' when a pending login is needed.
-- Returns 'ok', 'replayed' (the proof was used before) or 'unknown' (no such pending login any more).
if redis.call('EXISTS', KEYS[1]) == 1 then
  return 'replayed'
end
if ARGV[2] == '1' and redis.call('DEL', KEYS[2]) == 0 then
  return 'unknown'
end
redis.call('SET', KEYS[1], '1', 'EX', ARGV[1])
return 'ok'
