-- Moves jobs that were taken and not started, or started and not finished, back to the front of their queue, in this
-- order.
--
-- KEYS: queue, intermediate queue, started job registry, the worker's executions
-- ARGV: prefix of all keys, then for each job: id, execution id (empty: not started)
-- Returns how many jobs were moved. Skips jobs that are in neither the intermediate queue nor the registry.

local prefix, number = ARGV[1], 0

for i = #ARGV - 1, 2, -2 do
    local id, execution = ARGV[i], ARGV[i + 1]
    local entry = id .. ':' .. execution
    local ours = redis.call('lrem', KEYS[2], -1, id) == 1
    if execution ~= '' and redis.call('zrem', KEYS[3], entry) == 1 then
        ours = true
        redis.call('del', prefix .. ':execution:' .. entry)
        redis.call('zrem', prefix .. ':executions:' .. id, execution)
        redis.call('srem', KEYS[4], entry)
        redis.call('hset', prefix .. ':job:' .. id, 'status', 'queued', 'started_at', '', 'worker_name', '')
    end
    if ours then
        redis.call('lpush', KEYS[1], id)
        number = number + 1
    end
end
return number
