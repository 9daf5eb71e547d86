-- Loads the counter with what SQL has committed; an older version than the one there changes nothing, in any order of arrival.
-- KEYS: the organization's seat counter. ARGV: version, purchased, used, reserved, seconds to live. Returns 1 if it was newer.
local version = redis.call('HGET', KEYS[1], 'version')
if version and tonumber(version) >= tonumber(ARGV[1]) then
  return 0
end
redis.call('HSET', KEYS[1], 'version', ARGV[1], 'purchased', ARGV[2], 'used', ARGV[3], 'reserved', ARGV[4])
redis.call('EXPIRE', KEYS[1], ARGV[5])
return 1
