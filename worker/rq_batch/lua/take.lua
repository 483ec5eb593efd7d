-- Moves the first jobs of a queue to its intermediate queue, where they stay until they are started, and reads them.
--
-- KEYS: queue, intermediate queue
-- ARGV: most jobs to take, prefix of job keys, ids of jobs that are in the intermediate queue already
-- Returns id, fields, id, fields... in the order of the queue, with nil for the fields of a key that is no hash. Skips
-- jobs that no longer exist (cancelled, or past their ttl), as RQ does.

local most, prefix = tonumber(ARGV[1]), ARGV[2]
local taken, number = {}, 0

local function read(id)
    local fields = redis.pcall('hgetall', prefix .. id)
    taken[#taken + 1] = id
    if fields.err then
        taken[#taken + 1] = false
        return
    end
    if #fields == 0 then
        redis.call('lrem', KEYS[2], -1, id)
        taken[#taken] = nil
        return
    end
    taken[#taken + 1] = fields
    number = number + 1
end

for i = 3, #ARGV do
    read(ARGV[i])
end
while number < most do
    local id = redis.call('lmove', KEYS[1], KEYS[2], 'LEFT', 'RIGHT')
    if not id then
        break
    end
    read(id)
end
return taken
