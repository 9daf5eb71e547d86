-- Counts an event in its window; one script, so that a counter without a lifetime cannot be left behind.
-- KEYS[1] the counter; ARGV[1] seconds of the window, ARGV[2] for how many the event counts. Returns the count with it.
local counted = redis.call('INCRBY', KEYS[1], ARGV[2])
if counted == tonumber(ARGV[2]) then
  redis.call('EXPIRE', KEYS[1], ARGV[1])
end
return counted
