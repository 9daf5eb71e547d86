-- Ends those sessions of a member whose fields have all the given values, in one step with finding them.
-- KEYS: the member's index. ARGV: prefix of session keys (same slot), then field, value, field, value … Returns how many were ended.
local ended = 0
for _, digest in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  local text = redis.call('GET', ARGV[1] .. digest)
  local session = text and cjson.decode(text)
  local matches = session and true
  for at = 2, #ARGV, 2 do
    matches = matches and session[ARGV[at]] == ARGV[at + 1]
  end
  if matches then
    redis.call('DEL', ARGV[1] .. digest)
    redis.call('ZREM', KEYS[1], digest)
    ended = ended + 1
  end
end
return ended
