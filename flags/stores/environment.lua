-- Adds an environment to an installation.
-- KEYS: 1 environments (hash: name -> JSON, which holds the operation that made it)
-- ARGV: 1 name, 2 JSON, 3 operation, 4 digest of the request
-- Answers: {"created"}, {"repeated"}, {"mismatch"} or {"exists"}
local name, operation, request = ARGV[1], ARGV[3], ARGV[4]
local kept = redis.call('HGETALL', KEYS[1])
for at = 1, #kept, 2 do
  local made = cjson.decode(kept[at + 1])
  if made.operation == operation then
    if kept[at] == name and made.request == request then
      return {'repeated'}
    end
    return {'mismatch'}
  end
end
if redis.call('HSETNX', KEYS[1], name, ARGV[2]) == 0 then
  return {'exists'}
end
return {'created'}
