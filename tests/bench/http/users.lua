-- wrk: each request is another user's; apps.py has the same ten thousand.
local requests, at = {}, 0

function init()
    for number = 0, 9999 do
        requests[number] = wrk.format(nil, nil, { ["x-user-id"] = string.format("user:%012d", number) })
    end
    math.randomseed(os.time())
    at = math.random(0, 9999)
end

function request()
    at = (at + 1) % 10000
    return requests[at]
end
