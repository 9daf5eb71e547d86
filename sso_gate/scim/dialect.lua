-- Counts what a client said that was ignored; bounded, and forgotten some weeks after the last time.
-- KEYS[1] the hash of the token. ARGV: most names, seconds, then the names. A name beyond the bound is counted under "…".
local most = tonumber(ARGV[1])
for at = 3, #ARGV do
  local name = ARGV[at]
  if redis.call('HEXISTS', KEYS[1], name) == 0 and redis.call('HLEN', KEYS[1]) >= most then
    name = '…'
  end
  redis.call('HINCRBY', KEYS[1], name, 1)
end
redis.call('EXPIRE', KEYS[1], ARGV[2])
return redis.call('HLEN', KEYS[1])
