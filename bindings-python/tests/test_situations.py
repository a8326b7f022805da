"""The HTTP situations that every framework plays (tests/vectors/http_situations.json), over real sockets."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import aiohttp
import pytest
from conftest import run
from fastapi import FastAPI
from served import served
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from test_http import cases
from test_shed import closed
from tidegate import BoundedQueue, ConcurrencyLimiter, ConfigError, RateLimiter, fastapi, starlette
from tidegate.asgi import TidegateMiddleware
from tidegate.keys import client_ip, header

METHODS = ["GET", "POST", "OPTIONS"]


def limit_of(given: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    options = {name: given[name] for name in ("burst", "cost", "name") if name in given}
    kind, _, text = given.get("key", "").partition(":")
    if kind:
        options["key"] = {"ip": client_ip, "header": header(text or "x"), "constant": lambda scope: text}[kind]
    if isinstance(options.get("cost"), str):
        said = asked(options["cost"])
        options["cost"] = lambda scope: int(said(scope) or 1)
    if given["rate"].startswith("header:"):
        return asked(given["rate"]), options
    if "keyed" in given:
        return RateLimiter(given["rate"], algorithm=given.get("algorithm")), options
    return given["rate"], options


@contextmanager
def no_permit(config: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if "partition" in config:
        with one_for_live() as limiter:
            yield {"concurrency": limiter, "partition": asked(config["partition"])}
        return
    limiter = ConcurrencyLimiter(1)
    with limiter.acquire():
        yield {"concurrency": limiter}


def asked(text: str) -> Any:
    """A text, or a function that gives a header."""
    return header(text.removeprefix("header:")) if text.startswith("header:") else text


@contextmanager
def one_for_live() -> Iterator[ConcurrencyLimiter]:
    """A limiter with one place, which is kept for live."""
    limiter = ConcurrencyLimiter(2, partitions={"live": 0.5, "batch": 0.5})
    with limiter.acquire(partition="batch"):
        lent = limiter.acquire(partition="batch")
        assert limiter.try_acquire("live") is None
        lent.release()
        yield limiter


@contextmanager
def no_room(config: dict[str, Any]) -> Iterator[dict[str, Any]]:
    queue: BoundedQueue[int] = BoundedQueue(1, high_watermark=1.0, retry_after=7)
    if config.get("closed"):
        queue.close()
    else:
        queue.try_push(1)
    yield {"queue": queue}


@contextmanager
def shedding(config: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield {"shedder": closed("normal"), "priority": asked(config["priority"])}


# What an error says after the argument's name.
WRONG = {"cost": "must be 1 to the burst \\(3\\), .*; got 4$", "partition": '"urgent" is none of "live", "batch"$'}

# What there is no room for, as the middleware's options.
FULL = {"concurrency": no_permit, "queue": no_room, "shedder": shedding}


async def answering(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "http":
        await PlainTextResponse("ok")(scope, receive, send)


def middleware(limits: list[Any]) -> Any:
    if len(limits) > 1:
        pytest.skip("stacked limits are a route's; a middleware takes a LimitSet")
    limit, options = limits[0]
    return TidegateMiddleware(answering, limit, **options)


def fastapi_route(limits: list[Any]) -> Any:
    async def route() -> str:
        return "ok"

    for limit, options in reversed(limits):
        route = fastapi.limit(limit, **options)(route)
    app = FastAPI()
    app.api_route("/", methods=METHODS)(route)
    fastapi.install_exception_handlers(app)
    return app


def starlette_route(limits: list[Any]) -> Any:
    def endpoint(request: Any) -> Any:
        return PlainTextResponse("ok")

    for limit, options in reversed(limits):
        endpoint = starlette.limit(limit, **options)(endpoint)
    return Starlette(routes=[Route("/", endpoint, methods=METHODS)])


@pytest.mark.parametrize("make", [middleware, fastapi_route, starlette_route])
@pytest.mark.parametrize("case", [case for case in cases("http_situations") if "gate" not in case.values[0]["config"]])
def test_situations(case: Any, make: Callable[[list[Any]], Any]) -> None:
    async def scene(url: str) -> None:
        for at, ask in enumerate(case["asks"]):
            connector = aiohttp.TCPConnector(local_addr=(ask["remote"], 0))
            async with (
                aiohttp.ClientSession(connector=connector) as session,
                session.request(ask["method"], url + ask["path"], headers=ask["headers"]) as answer,
            ):
                await answer.read()
            told = {
                name: ", ".join(answer.headers.getall(name, [])) or None for name in ("ratelimit-policy", "ratelimit")
            }
            state = told["ratelimit"] and re.sub(r";t=\d+", "", told["ratelimit"])
            seen = (answer.status, told["ratelimit-policy"], state)
            # After a fault the limits' fields are a framework's to keep or not.
            assert seen == (ask["status"], ask.get("policy", seen[1]), ask.get("state", seen[2])), at
            wait = answer.headers.get("retry-after")
            if ask["retry_after"] is None:
                assert wait is None, at
            else:
                least, most = ask["retry_after"]
                assert wait is not None and least <= int(wait) <= most, (at, wait)
        await asyncio.sleep(0)

    if "error" in case and "full" not in case["config"]:
        with pytest.raises(ConfigError, match=f"^{case['error']}: {WRONG[case['error']]}"):
            make([limit_of(limit) for limit in case["config"]["limits"]])
        return
    if "full" in case["config"]:
        if make is not middleware:
            pytest.skip("what has no room is a middleware's, for all routes")
        limits = [limit_of(limit) for limit in case["config"]["limits"]]
        limit, options = limits[0] if limits else (None, {})
        with FULL[case["config"]["full"]](case["config"]) as entrance:
            if "error" in case:
                with pytest.raises(ConfigError, match=f"^{case['error']}: {WRONG[case['error']]}"):
                    TidegateMiddleware(answering, limit, **entrance, **options)
                return
            app = TidegateMiddleware(answering, limit, **entrance, **options)
            with served(app) as url:
                run(scene(url))
        return
    with served(make([limit_of(limit) for limit in case["config"]["limits"]])) as url:
        run(scene(url))
