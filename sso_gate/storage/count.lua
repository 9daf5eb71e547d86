-- Counts an event in its window; one script, so that a counter without a lifetime cannot be left behind.
-- KEYS[1] the counter; ARGV[1] seconds of the window. Returns the count with this event.
local counted = redis.call('INCR', KEYS[1])
if counted == 1 then
  redis.call('EXPIRE', KEYS[1], ARGV[1])
end
return counted
