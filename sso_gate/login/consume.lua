-- Uses up a pending login and the proof that answers it together: of two workers that get the same message one wins.
-- KEYS: the proof, the pending login. ARGV: seconds to remember the proof, the hash of the browser's key, and the request
-- that the proof answers ('' where the protocol compares something else, later).
-- Returns the pending login's text, or what stands in the way, which leaves everything as it was: 'mismatch' (it is about
-- another request), 'replayed' (the proof was used before), 'unknown' (no such login of this browser any more).
local text = redis.call('GET', KEYS[2])
local login = text and cjson.decode(text)
local known = login and login.browser == ARGV[2]
if known and ARGV[3] ~= '' and login.expectations.request_id ~= ARGV[3] then
  return 'mismatch'
end
if redis.call('EXISTS', KEYS[1]) == 1 then
  return 'replayed'
end
if not known then
  return 'unknown'
end
redis.call('DEL', KEYS[2])
redis.call('SET', KEYS[1], '1', 'EX', ARGV[1])
return text
