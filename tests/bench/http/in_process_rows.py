"""What a request costs more by a middleware: applications called as a server calls them, without one.

A server adds the same to all, and a hundred times the noise. A round takes turns in short blocks and keeps the median
block of each contender, so that what the machine does meanwhile hits all of them or none.
"""

import asyncio
import statistics
import sys
import time

import apps
import load

ROUNDS = 11 if load.QUICK else 61
BLOCKS = 25
START = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]}
BODY = {"type": "http.response.body", "body": b'{"ok":true}'}
SCOPES = [
    {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/",
        "raw_path": b"/",
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"localhost"), (b"accept", b"*/*"), (b"x-user-id", user.encode())],
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 8000),
    }
    for user in apps.USERS
]


async def inner(scope, receive, send):
    await send(START)
    await send(BODY)


async def receive():
    return {"type": "http.request", "body": b"", "more_body": False}


async def ignore(message):
    pass


async def block(app, first, requests):
    """Processor nanoseconds a request, each of another user: what else runs on the machine is not in them."""
    scopes = [dict(SCOPES[(first + at) % len(SCOPES)]) for at in range(requests)]
    start = time.thread_time_ns()
    for scope in scopes:
        await app(scope, receive, ignore)
    return (time.thread_time_ns() - start) / requests


async def status(app):
    sent = []

    async def keep(message):
        sent.append(message)

    await app(dict(SCOPES[0]), receive, keep)
    return sent[0]["status"]


async def measure(contenders, requests):
    ns = {name: [] for name in contenders}
    names, users = list(contenders), 0
    for name in names:
        await block(contenders[name], 0, requests)
    for _ in range(ROUNDS):
        took = {name: [] for name in names}
        for turn in range(BLOCKS):
            for place in range(len(names)):
                name = names[(turn + place) % len(names)]
                took[name].append(await block(contenders[name], users, requests))
            users += requests
        for name in names:
            ns[name].append(statistics.median(took[name]))
    for name in names:
        assert await status(contenders[name]) == 200, f"{name} refused"
    return ns


def row(work, contenders, requests, note):
    print(f"  {work}", file=sys.stderr)
    took = asyncio.run(measure(contenders, requests))
    bare = took.pop("bare")
    load.emit(
        binding="fastapi",
        work=work,
        floor="constant headers",
        targets=[{"of": "constant headers", "most": 2}],
        ns={name: [a - b for a, b in zip(values, bare)] for name, values in took.items()},
        notes=[f"{note}; without it: {statistics.median(bare) / 1000:.1f} µs a request"],
    )


def main():
    headers = apps.answer_of(apps.tidegate_admits(apps.empty))[0]["headers"]
    row(
        "FastAPI, 10,000 users of 100 per minute, time added per request",
        {"bare": apps.bare, "tidegate": apps.tidegate, "slowapi": apps.slow_api, "constant headers": apps.constant},
        20,
        "whole application, no server; RateLimit and RateLimit-Policy",
    )
    row(
        "ASGI middleware alone, 10,000 users of 100 per minute, time added per request",
        {
            "bare": inner,
            "tidegate": apps.tidegate_admits(inner),
            "constant headers": apps.ConstantHeaders(inner, headers),
        },
        100,
        "one limit, RateLimit and RateLimit-Policy; no server, no FastAPI",
    )


if __name__ == "__main__":
    main()
