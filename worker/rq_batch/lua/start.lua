-- Moves jobs from the intermediate queue to the started job registry, each with an execution, as RQ's
-- `prepare_execution` and `prepare_job_execution` do.
--
-- KEYS: intermediate queue, started job registry, worker, the worker's executions
-- ARGV: prefix of all keys, worker name, time (ISO 8601), time (s since 1970), ttl of the worker (s), then for each
--       job: id, execution id, seconds that it may take
-- Returns the ids of two kinds of jobs that were not started: those that were cancelled or no longer exist, and those
-- that another worker has put back, because they were in the intermediate queue for too long.

local prefix, worker, iso, seconds = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local now = math.floor(tonumber(seconds))
local cancelled, not_ours, longest = {}, {}, 0

for i = 6, #ARGV, 3 do
    local id, execution, ttl = ARGV[i], ARGV[i + 1], tonumber(ARGV[i + 2])
    local job = prefix .. ':job:' .. id
    local entry = id .. ':' .. execution
    -- The job is in the registry already if this script ran before and its reply was lost. A job that is neither there
    -- nor in the intermediate queue is not ours any more.
    local ours = redis.call('lrem', KEYS[1], -1, id) == 1 or redis.call('zscore', KEYS[2], entry)
    local status = redis.pcall('hget', job, 'status')
    if not ours then
        not_ours[#not_ours + 1] = id
    elseif type(status) ~= 'string' or status == 'canceled' then
        cancelled[#cancelled + 1] = id
    else
        local execution_key = prefix .. ':execution:' .. entry
        redis.call('hset', execution_key, 'id', execution, 'job_id', id, 'worker_name', worker,
            'created_at', seconds, 'last_heartbeat', seconds)
        redis.call('expire', execution_key, ttl)
        local executions = prefix .. ':executions:' .. id
        redis.call('zadd', executions, now + ttl + 60, execution)
        redis.call('expire', executions, ttl + 60)
        redis.call('zadd', KEYS[2], now + ttl, entry)
        redis.call('sadd', KEYS[4], entry)
        redis.call('hset', job, 'status', 'started', 'started_at', iso, 'last_heartbeat', iso, 'worker_name', worker)
        redis.call('persist', job)
        longest = math.max(longest, ttl)
    end
end
if longest > 0 then
    redis.call('expire', KEYS[4], longest + 60)
    redis.call('hset', KEYS[3], 'state', 'busy', 'last_heartbeat', iso)
    redis.call('expire', KEYS[3], ARGV[5])
end
return { cancelled, not_ours }
