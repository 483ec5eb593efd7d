-- Moves jobs of dead workers from the started job registry to the front of the queue, in this order, and counts one
-- more death for each.
--
-- KEYS: queue, started job registry
-- ARGV: prefix of all keys, number of deaths with which a job fails, then for each job: id, execution id, worker name
-- Returns how many jobs were moved, then id and execution id of each job that has to fail. Those are left as they were.
-- A job whose key is damaged leaves the registry and is not moved.

local prefix, too_many = ARGV[1], tonumber(ARGV[2])
local abandoned, number = {}, 0

local function field(job, name)
    local value = redis.pcall('hget', job, name)
    return type(value) == 'string' and value or nil
end

for i = #ARGV - 2, 3, -3 do
    local id, execution, worker = ARGV[i], ARGV[i + 1], ARGV[i + 2]
    local job, entry = prefix .. ':job:' .. id, ARGV[i] .. ':' .. ARGV[i + 1]
    if redis.call('zscore', KEYS[2], entry) then
        local deaths = (tonumber(field(job, 'deaths')) or 0) + 1
        local started = field(job, 'status') == 'started'
        if started and deaths >= too_many then
            abandoned[#abandoned + 1] = id
            abandoned[#abandoned + 1] = execution
        else
            redis.call('zrem', KEYS[2], entry)
            redis.call('del', prefix .. ':execution:' .. entry)
            redis.call('zrem', prefix .. ':executions:' .. id, execution)
            redis.call('srem', prefix .. ':worker:' .. worker .. ':executions', entry)
            if started then
                redis.call('hset', job, 'status', 'queued', 'started_at', '', 'worker_name', '', 'deaths', deaths)
                redis.call('lpush', KEYS[1], id)
                number = number + 1
            end
        end
    end
end
return { number, unpack(abandoned) }
