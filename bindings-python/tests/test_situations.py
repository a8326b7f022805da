"""The HTTP situations that every framework plays (tests/vectors/http_situations.json), over real sockets."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import aiohttp
import pytest
from conftest import run, wait_until
from fastapi import FastAPI
from served import served, served_wsgi
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from test_http import cases
from test_shed import closed
from tidegate import (
    AccessList,
    BoundedQueue,
    CircuitBreaker,
    ConcurrencyLimiter,
    ConfigError,
    Gate,
    RateLimiter,
    TokenBucket,
    fastapi,
    starlette,
    wsgi,
)
from tidegate.asgi import TidegateMiddleware
from tidegate.headers import Problem
from tidegate.keys import client_ip, header
from yarl import URL

METHODS = ["GET", "HEAD", "POST", "OPTIONS"]


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
WRONG = {
    "cost": "must be 1 to the burst \\(3\\), .*; got 4$",
    "partition": '"urgent" is none of "live", "batch"$',
    "priority": "'urgent' is not .*$",
    "dependencies": "'paiment' is no dependency of this gate; it has payment$",
}

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


def is_of_gate(case: Any) -> bool:
    return "gate" in case.values[0]["config"]


async def play(url: str, asks: list[Any], is_idle: Callable[[], bool] = lambda: True) -> None:
    for at, ask in enumerate(asks):
        connector = aiohttp.TCPConnector(local_addr=(ask["remote"], 0))
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            session.request(ask["method"], URL(url + ask["path"], encoded=True), headers=ask["headers"]) as answer,
        ):
            body = await answer.read()
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
        if "denied_by" in ask and ask["method"] != "HEAD":
            assert answer.headers["content-type"] == "application/problem+json", at
            assert body == Problem(ask["problem"], violated=[ask["denied_by"]]).body, at
        # A server may end its part when the client has the answer already.
        while not is_idle():
            await asyncio.sleep(0.001)


@pytest.mark.parametrize("make", [middleware, fastapi_route, starlette_route])
@pytest.mark.parametrize("case", [case for case in cases("http_situations") if not is_of_gate(case)])
def test_situations(case: Any, make: Callable[[list[Any]], Any]) -> None:
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
                run(play(url, case["asks"]))
        return
    if "exempt" in case["name"]:
        if make is not middleware:
            pytest.skip("exempt paths are a middleware's, for all routes")
        [(limit, options)] = [limit_of(limit) for limit in case["config"]["limits"]]
        exempt = {"exempt": case["config"]["exempt"]} if "exempt" in case["config"] else {}
        limited = TidegateMiddleware(answering, limit, **options, **exempt)
        mount = case["config"].get("mount")
        with served(limited if mount is None else Starlette(routes=[Mount(mount, limited)])) as url:
            run(play(url, case["asks"]))
        return
    with served(make([limit_of(limit) for limit in case["config"]["limits"]])) as url:
        run(play(url, case["asks"]))


class Gates:
    """What a case has of a gate: the options of the Gate, and those of the middleware."""

    def __init__(self, config: dict[str, Any]) -> None:
        full = config.get("full", ())
        made = {
            name: (RateLimiter if one.get("keyed") else TokenBucket)(one["rate"])
            for name, one in config.get("limits", {}).items()
        }
        self.parts: dict[str, Any] = {"limits": made or None, "dry_run": config.get("dry_run", False)}
        self.parts["refund_on"] = config.get("refund_on", ())
        if "allow" in config or "deny" in config:
            self.parts["access"] = AccessList(config.get("allow", ()), config.get("deny", ()))
        if "concurrency" in config or "concurrency" in full:
            self.database = ConcurrencyLimiter(config.get("concurrency", 1))
            self.parts["concurrency"] = {"database": self.database}
        if "concurrency" in full:
            self.held = self.database.acquire()
        if "queue" in full:
            queue: BoundedQueue[int] = BoundedQueue(1, high_watermark=1.0)
            queue.try_push(1)
            self.parts["queue"] = {"jobs": queue}
        if "shedder" in full:
            self.parts["shedder"] = {"main": closed("normal")}
        if "breaker" in full:
            payment = CircuitBreaker("payment", consecutive_failures=1, cooldown=60)
            payment.acquire().failure()
            self.parts["dependencies"] = {"payment": payment}
        self.options = {name: config[name] for name in ("cost", "priority", "dependencies") if name in config}
        for name in ("cost", "priority"):
            if isinstance(self.options.get(name), str):
                said = asked(self.options[name])
                self.options[name] = (lambda scope: int(said(scope))) if name == "cost" else said
        if "key" in config:
            self.options["key"] = {name: asked(text) for name, text in config["key"].items()}

    def release(self) -> None:
        if hasattr(self, "held"):
            self.held.release()


async def as_asked(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "http":
        status = header("x-status")(scope)
        await PlainTextResponse("ok", status_code=int(status or 200))(scope, receive, send)


def as_asked_wsgi(environ: Any, start_response: Any) -> Any:
    status = environ.get("HTTP_X_STATUS", "200")
    start_response(f"{status} Something", [("Content-Type", "text/plain"), ("Content-Length", "2")])
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [b"ok"]


class Watched:
    """A WSGI application, and how many of its answers the server has not closed yet."""

    def __init__(self, app: Any) -> None:
        self.app, self.open = app, 0

    def __call__(self, environ: Any, start_response: Any) -> Any:
        body = self.app(environ, start_response)
        self.open += 1
        return Body(body, self)


class Body:
    def __init__(self, body: Any, of: Watched) -> None:
        self.body, self.of = body, of

    def __iter__(self) -> Any:
        return iter(self.body)

    def close(self) -> None:
        if hasattr(self.body, "close"):
            self.body.close()
        self.of.open -= 1


@pytest.mark.parametrize(
    ("made", "app", "serve"),
    [(TidegateMiddleware, as_asked, served), (wsgi.TidegateMiddleware, as_asked_wsgi, served_wsgi)],
    ids=["asgi", "wsgi"],
)
@pytest.mark.parametrize("case", [case for case in cases("http_situations") if is_of_gate(case)])
def test_situations_of_a_gate(case: Any, made: Any, app: Any, serve: Any) -> None:
    gates = Gates(case["config"]["gate"])
    gate = Gate("orders", **gates.parts)
    if "error" in case:
        with pytest.raises(ConfigError, match=f"^{case['error']}: {WRONG[case['error']]}"):
            made(app, gate=gate, **gates.options)
        return
    guarded = made(app, gate=gate, **gates.options)
    watched = guarded if serve is served else Watched(guarded)
    with serve(watched) as url:
        run(play(url, case["asks"], lambda: getattr(watched, "open", 0) == 0))
    gates.release()
    if "concurrency" in gates.parts:
        wait_until(lambda: gates.database.in_use == 0)
