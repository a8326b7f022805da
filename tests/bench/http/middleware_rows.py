"""The middleware alone, called as a server calls it but without one: what a request over HTTP adds on top is the same for all.

The HTTP rows are what counts; these have a hundredth of their noise, and so show a change in the middleware first.
"""

import asyncio
import sys
import time

import apps
import load

ROUNDS = 21 if load.QUICK else 101
REQUESTS = 500
SCOPE = {"type": "http", "method": "GET", "path": "/", "headers": []}
START = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]}
BODY = {"type": "http.response.body", "body": b'{"ok":true}'}


async def inner(scope, receive, send):
    await send(START)
    await send(BODY)


async def receive():
    return {"type": "http.request", "body": b"", "more_body": False}


async def send(message):
    pass


async def run(app):
    start = time.perf_counter_ns()
    for _ in range(REQUESTS):
        await app(SCOPE, receive, send)
    return (time.perf_counter_ns() - start) / REQUESTS


def measure(contenders):
    print("  the middleware alone", file=sys.stderr)
    ns = {name: [] for name in contenders}
    names = list(contenders)
    for round_ in range(ROUNDS):
        for turn in range(len(names)):
            name = names[(round_ + turn) % len(names)]
            ns[name].append(min(asyncio.run(run(contenders[name])) for _ in range(2)))
    return ns


def main():
    headers = apps.answer_of(apps.tidegate_admits(apps.empty))[0]["headers"]
    took = measure(
        {
            "bare": inner,
            "tidegate": apps.tidegate_admits(inner),
            "constant headers": apps.ConstantHeaders(inner, headers),
        }
    )
    load.emit(
        door="fastapi",
        work="ASGI middleware alone, time added per request",
        floor="constant headers",
        targets=[{"of": "constant headers", "most": 2}],
        ns={name: [a - b for a, b in zip(took[name], took["bare"])] for name in ("tidegate", "constant headers")},
        notes=["one limit, RateLimit and RateLimit-Policy; no server, no FastAPI"],
    )


if __name__ == "__main__":
    main()
