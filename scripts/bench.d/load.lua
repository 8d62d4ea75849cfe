-- A thousand users in turn, their requests written once; the result as one line of JSON.
local target, users, next_user = nil, {}, 0

function init(args)
    target = args[1]
    for user = 1, 1000 do
        users[user] = wrk.format("GET", target, { ["x-user-id"] = "user-" .. user })
    end
end

function request()
    next_user = next_user % #users + 1
    return users[next_user]
end

function done(summary, latency)
    local errors = summary.errors
    io.write(string.format(
        'RESULT {"requests":%d,"bytes":%d,"duration_us":%d,"p50_us":%d,"p99_us":%d,"not_2xx":%d,"socket_errors":%d}\n',
        summary.requests, summary.bytes, summary.duration, latency:percentile(50), latency:percentile(99),
        errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
