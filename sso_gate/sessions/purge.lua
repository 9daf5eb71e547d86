-- Ends every session of a member that is older than a generation, and keeps late ones out; atomic with activate.lua.
-- What is left of a session that is ended here, under another name, opens nothing and names nobody: its browser is told why.
-- KEYS: the member's index, the member's floor.
-- ARGV: generation, seconds to remember, prefix of session keys, prefix of ended sessions (same slot).
-- Returns how many sessions were ended. Running it again changes nothing.
local floor = redis.call('GET', KEYS[2])
if not floor or tonumber(floor) < tonumber(ARGV[1]) then
  redis.call('SET', KEYS[2], ARGV[1], 'EX', ARGV[2])
end
local dead = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', '(' .. ARGV[1])
for _, digest in ipairs(dead) do
  local living = redis.call('GETDEL', ARGV[3] .. digest)
  if living and living ~= '{}' then
    local session, left = cjson.decode(living), {}
    for _, name in ipairs({'organization', 'member', 'kind', 'connection', 'generation', 'family', 'host'}) do
      left[name] = session[name]
    end
    redis.call('SET', ARGV[4] .. digest, cjson.encode(left), 'EX', ARGV[2])
  end
end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(' .. ARGV[1])
return #dead
