-- Counts equal refusals of a minute: the first ones are written one by one, the others are counted under one reference.
-- KEYS: the counter of this minute, all counted floods. ARGV: field, how many are written one by one, a new
-- reference. Returns the reference under which this one is counted, or '' when it is to be written by itself.
local seen = redis.call('INCR', KEYS[1])
if seen == 1 then
  redis.call('EXPIRE', KEYS[1], 120)
end
if seen <= tonumber(ARGV[2]) then
  return ''
end
redis.call('HINCRBY', KEYS[2], 'count|' .. ARGV[1], 1)
redis.call('HSETNX', KEYS[2], 'reference|' .. ARGV[1], ARGV[3])
return redis.call('HGET', KEYS[2], 'reference|' .. ARGV[1])
