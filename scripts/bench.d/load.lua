-- A thousand users in turn, their requests written once; the result as one line of JSON.
-- Arguments: target, number of routes for @I@ in it, then words: cookie, close, or upload=BYTES.
local users, next_user = {}, 0

function init(args)
    local target, routes = args[1], tonumber(args[2])
    local is = {}
    for place = 3, #args do
        local word, value = args[place]:match("^(%w+)=?(%d*)$")
        is[word] = value
    end
    local body = is.upload and string.rep("x", tonumber(is.upload)) or nil
    for user = 1, (body and 8 or math.max(1000, routes)) do
        local headers = {}
        if is.cookie then headers["Cookie"] = "session=user-" .. user else headers["x-user-id"] = "user-" .. user end
        if is.close then headers["Connection"] = "close" end
        local path = target:gsub("@I@", string.format("%03d", user % routes))
        users[user] = wrk.format(body and "POST" or "GET", path, headers, body)
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
