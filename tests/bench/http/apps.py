"""The FastAPI applications: one route each, and in front of it what is measured. `uvicorn apps:NAME`.

Each of 10,000 users, told apart by a header, may send 100 a minute; users.lua sends for them.
"""

import asyncio

import slowapi
from fastapi import Depends, FastAPI
from fastapi_limiter.depends import RateLimiter as FastAPILimiter
from pyrate_limiter import Duration, Limiter, Rate
from slowapi.errors import RateLimitExceeded
from slowapi.middleware import SlowAPIASGIMiddleware
from slowapi.util import get_remote_address

from tidegate import RateLimiter
from tidegate.asgi import TidegateMiddleware
from tidegate.keys import header

USERS = [f"user:{number:012}" for number in range(10_000)]
# What no load here can use up.
PLENTY = 1_000_000_000


def application(**options):
    app = FastAPI(**options)

    @app.get("/")
    async def root():
        return {"ok": True}

    return app


def answer_of(app):
    """The start and the body that `app` sends to a user."""

    async def run():
        sent = []

        async def receive():
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message):
            sent.append(message)

        headers = [(b"x-user-id", USERS[0].encode())]
        await app({"type": "http", "method": "GET", "path": "/", "headers": headers}, receive, send)
        return sent

    return asyncio.run(run())


class ConstantHeaders:
    """The floor of a middleware: appends constant headers to every answer."""

    def __init__(self, app, headers):
        self.app, self.headers = app, headers

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        headers = self.headers

        async def send_with_headers(message):
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), *headers]}
            await send(message)

        await self.app(scope, receive, send_with_headers)


class ConstantAnswer:
    """The floor of a refusal: the same bytes, whatever comes."""

    def __init__(self, start, body):
        self.start, self.body = start, body

    async def __call__(self, scope, receive, send):
        await send(self.start)
        await send(self.body)


async def empty(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def by_user(request):
    return request.headers.get("x-user-id", "")


def tidegate_admits(app):
    return TidegateMiddleware(app, RateLimiter("100/minute", max_keys=2 * len(USERS)), key=header("x-user-id"))


def tidegate_refuses(app):
    limiter = RateLimiter("1/hour", max_keys=2 * len(USERS))
    for user in USERS:
        limiter.try_acquire(user)
    return TidegateMiddleware(app, limiter, key=header("x-user-id"))


def slowapi_with(limit, key):
    app = application()
    app.state.limiter = slowapi.Limiter(key_func=key, default_limits=[limit], headers_enabled=True)
    app.add_exception_handler(RateLimitExceeded, slowapi._rate_limit_exceeded_handler)
    app.add_middleware(SlowAPIASGIMiddleware)
    return app


def behind_lifespan(refuse):
    """uvicorn's own start and stop messages go to an application that answers them; requests to `refuse`."""
    inner = application()

    async def app(scope, receive, send):
        await (refuse if scope["type"] == "http" else inner)(scope, receive, send)

    return app


bare = application()
constant = ConstantHeaders(application(), answer_of(tidegate_admits(empty))[0]["headers"])
tidegate = tidegate_admits(application())
slow_api = slowapi_with("100/minute", by_user)
# One limit for all: it has none per key without a Redis. It answers when its window, a list of hits, is full; so the
# list is as long as a run may need.
fastapi_limiter = application(
    dependencies=[Depends(FastAPILimiter(limiter=Limiter(Rate(PLENTY, Duration.SECOND))))]
)

bare_429 = behind_lifespan(ConstantAnswer(*answer_of(tidegate_refuses(empty))))
tidegate_429 = tidegate_refuses(application())
slow_api_429 = slowapi_with("1/day", get_remote_address)
