-- Moves jobs that returned from the started to the finished job registry and records their results, as RQ's
-- `handle_job_success` does. Marks the worker as idle.
--
-- KEYS: started job registry, finished job registry, worker, the worker's executions
-- ARGV: prefix of all keys, worker name, start and end of the jobs (ISO 8601), start and end again (s since 1970),
--       working time of each job (s), then for each job: id, execution id, result ttl (s, -1 for ever), serialised
--       result
-- Returns a number for each job (`FinishCode`): 1 if it was recorded, now or by an earlier run whose reply was lost; 0 if
-- it is not ours any more, because another worker took it back; 2 if it was left as it was, because other jobs depend on
-- it.

local prefix, worker, started_iso, ended_iso, started, ended = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local now = math.floor(tonumber(ended))
local results, recorded = {}, 0

local function was_recorded(id, execution)
    local newest = redis.pcall('xrevrange', prefix .. ':results:' .. id, '+', '-', 'COUNT', 1)[1]
    return newest and newest[2][2] == execution -- the first field that is added below
end

for i = 8, #ARGV, 4 do
    local id, execution, ttl, value = ARGV[i], ARGV[i + 1], tonumber(ARGV[i + 2]), ARGV[i + 3]
    local job, dependents = prefix .. ':job:' .. id, prefix .. ':job:' .. id .. ':dependents'
    local entry = id .. ':' .. execution
    if redis.call('exists', dependents) == 1 then
        results[#results + 1] = 2
    elseif redis.call('zrem', KEYS[1], entry) == 0 then
        results[#results + 1] = was_recorded(id, execution) and 1 or 0
    else
        redis.call('hset', job, 'status', 'finished', 'started_at', started_iso, 'ended_at', ended_iso,
            'last_heartbeat', ended_iso, 'worker_name', worker)
        local stream = prefix .. ':results:' .. id
        local fields = { 'type', '1', 'worker_name', worker }
        if value ~= '' then
            fields[#fields + 1] = 'return_value'
            fields[#fields + 1] = value
        end
        redis.call('xadd', stream, 'MAXLEN', '~', '10', '*', 'execution_id', execution,
            'execution_started_at', started, 'execution_ended_at', ended, unpack(fields))
        if ttl > 0 then
            redis.call('expire', stream, ttl)
            redis.call('zadd', KEYS[2], now + ttl, id)
            redis.call('expire', job, ttl)
            redis.call('expire', prefix .. ':job::' .. id .. ':dependencies', ttl)
        else
            redis.call('persist', stream)
            redis.call('zadd', KEYS[2], '+inf', id)
        end
        redis.call('del', prefix .. ':execution:' .. entry)
        redis.call('zrem', prefix .. ':executions:' .. id, execution)
        redis.call('srem', KEYS[4], entry)
        recorded = recorded + 1
        results[#results + 1] = 1
    end
end
if recorded > 0 then
    redis.call('hincrby', KEYS[3], 'successful_job_count', recorded)
    redis.call('hincrbyfloat', KEYS[3], 'total_working_time', tostring(recorded * tonumber(ARGV[7])))
end
redis.call('hset', KEYS[3], 'state', 'idle')
return results
