-- Count a request against a limit of requests in a minute, by slots of five seconds: the window is the slot of now
-- and the twelve before it, so no 60 seconds ever hold more than the limit. The clock is the server's, the same for
-- all copies of the service. KEYS: whose; ARGV: limit, how many. Gives: taken (1 or 0), left, seconds until more.
local slot_seconds, slots = 5, 13
local now = tonumber(redis.call('TIME')[1])
local slot = math.floor(now / slot_seconds)
local limit, wanted = tonumber(ARGV[1]), tonumber(ARGV[2])

local used, counted = 0, {}
local stored = redis.call('HGETALL', KEYS[1])
for index = 1, #stored, 2 do
  local at, count = tonumber(stored[index]), tonumber(stored[index + 1])
  if at <= slot - slots then
    redis.call('HDEL', KEYS[1], stored[index])
  else
    used = used + count
    table.insert(counted, {at, count})
  end
end

local taken = 0
if used + wanted <= limit then
  taken, used = 1, used + wanted
  redis.call('HINCRBY', KEYS[1], slot, wanted)
  redis.call('EXPIRE', KEYS[1], slot_seconds * slots)
  table.insert(counted, {slot, wanted})
end

-- The moment at which enough slots have left the window for as many again; at least the oldest one.
table.sort(counted, function(one, other) return one[1] < other[1] end)
local freed, free_at = limit - used, slot + slots
for _, each in ipairs(counted) do
  freed, free_at = freed + each[2], each[1] + slots
  if freed >= wanted then break end
end
return {taken, limit - used, free_at * slot_seconds - now}
