"""Mistakes that are easily made: each is an error where it is made, which says what would do, and none switches a limit
off.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import run
from fastapi import APIRouter, FastAPI, Request
from served import ask, served, statuses
from starlette import requests
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from tidegate import (
    BoundedQueue,
    CircuitBreaker,
    ConcurrencyLimiter,
    ConfigError,
    LimitSet,
    LoadShedder,
    Policy,
    RateLimiter,
    TidegateError,
    TokenBucket,
    _log,
    starlette,
)
from tidegate.asgi import Rule, TidegateMiddleware
from tidegate.fastapi import RateLimit, breaker, limit
from tidegate.keys import ClientIP, api_key, client_ip, each_of, first_of, header


async def app(scope: Any, receive: Any, send: Any) -> None:
    raise AssertionError


def by_request(request: Request) -> str:
    return request.headers["x-user"]


def by_text(request: requests.Request) -> str:
    return request.headers["x-user"]


async def route() -> str:
    return "ok"


keyed: Any = functools.partial(RateLimit, "5/minute")
middleware: Any = functools.partial(TidegateMiddleware, app)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: keyed(key="x-api-key"), "key: expected a function of the ASGI scope, got str"),
        (lambda: keyed(key=ClientIP), "key: expected a function of the ASGI scope, got the class ClientIP"),
        (
            lambda: keyed(key=header),
            r'key: header makes a function of the ASGI scope; call it, as in header\("x-user-id"\)',
        ),
        (lambda: keyed(key=api_key), r"key: api_key makes a function of the ASGI scope; call it, as in api_key\(\)"),
        (lambda: keyed(key=lambda: "x"), r"key: expected a function of the ASGI scope, got .*<lambda>\(\)"),
        (lambda: keyed(key=by_request), "key: .*by_request.*; make a request of it there"),
        (lambda: keyed(key=by_text), "key: .*by_text.*; make a request of it there"),
        (lambda: RateLimit(lambda scope, more: None), "limit: expected a function of the ASGI scope, got"),
        (lambda: limit(route), r"limit: expected a function .*, got route\(.*\. A decorator takes its limit first"),
        (lambda: keyed(cost=lambda: 1), "cost: expected a function of the ASGI scope, got"),
        (lambda: keyed(skip=lambda: True), "skip: expected a function of the ASGI scope, got"),
        (
            lambda: keyed(on_refused=lambda scope: "no"),
            "on_refused: expected a function of the ASGI scope and a Refusal, got",
        ),
        (lambda: middleware("1/s", skip=lambda: True), "skip: expected a function of the ASGI scope, got"),
        (lambda: Rule("GET", "/", limit="1/s", when=lambda: True), "when: expected a function of the ASGI scope, got"),
        (
            lambda: Rule("GET", "/", limit="1/s", refund_on=lambda: True),
            "refund_on: expected a function of a status, got",
        ),
        (lambda: RateLimit(LimitSet(a=RateLimiter("1/s")), key={"a": header}), r"key\['a'\]: header makes a function"),
        (
            lambda: first_of("x-api-key", client_ip),  # type: ignore[arg-type]
            "first_of: expected a function of the ASGI scope, got str",
        ),
        (lambda: each_of(header), "each_of: header makes a function"),  # type: ignore[arg-type]
        (lambda: header(None), "name: expected a header's name, got NoneType"),  # type: ignore[arg-type]
        (lambda: keyed(keys=client_ip), r"RateLimit\(\) has no option 'keys'; it takes burst, fastest, key, cost"),
        (lambda: limit("1/s", per="ip"), r"limit\(\) has no option 'per'; it takes"),  # type: ignore[call-arg]
        (
            lambda: starlette.limit("1/s", per="ip"),  # type: ignore[call-arg]
            r"limit\(\) has no option 'per'; it takes",
        ),
        (lambda: keyed(name=5), "name: expected a str, got int"),
        (lambda: keyed(dry_run="no"), "dry_run: expected True or False, got 'no'"),
        (lambda: keyed(headers=0), "headers: expected True or False, got 0"),
        (lambda: middleware("1/s", legacy_headers="off"), "legacy_headers: expected True or False, got 'off'"),
        (
            lambda: middleware(rules=[Rule("GET", "/", limit="1/s", dry_run="no")]),  # type: ignore[arg-type]
            "dry_run: expected",
        ),
        (lambda: middleware(rules=Rule("GET", "/", limit="1/s")), "rules: expected several Rules, such as"),
        (lambda: middleware(queue=BoundedQueue), "queue: expected a BoundedQueue, got type"),
        (
            lambda: TidegateMiddleware("1/s", app),  # type: ignore[arg-type]
            "app: expected an ASGI application, got str",
        ),
        (
            lambda: TidegateMiddleware(TokenBucket("1/s"), app),  # type: ignore[arg-type]
            "app: expected an ASGI application, got TokenBucket",
        ),
        (
            lambda: limit("1/s")(HTTPEndpoint),
            "limit: decorates a function, got the class HTTPEndpoint; decorate its methods",
        ),
        (lambda: starlette.limit("1/s")(HTTPEndpoint), "limit: decorates a function, got the class HTTPEndpoint"),
        (lambda: limit("1/s")(APIRouter()), "limit: decorates a function, got APIRouter"),  # type: ignore[type-var]
    ],
)
def test_a_wrong_type_names_the_argument(make: Callable[[], object], text: str) -> None:
    with pytest.raises(TypeError, match=text):
        make()


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: first_of(), "first_of: give it at least one key function"),
        (lambda: Rule("GET", "/", limit="often"), 'rate: "often" is not a rate'),
        (lambda: Rule("GET", "/", limit="1/s;often"), 'rate: "often" is not a rate'),
        (lambda: each_of(), "each_of: give it at least one key function"),
        (lambda: header(""), "name: expected a header's name"),
        (lambda: header("x user"), "name: expected a header's name"),
        (lambda: header("x-usér"), "name: expected a header's name"),
        (lambda: Rule("GET", "/a/<id>", limit="1/s"), "path: '<id>' would only fit itself"),
        (lambda: Rule("GET", "/a/<int:id>/b", limit="1/s"), "path: '<int:id>' would only fit itself"),
        (lambda: Rule("GET", "/a/:id/b", limit="1/s"), "path: ':id' would only fit itself"),
        (lambda: Rule("GET", "/a?b=1", limit="1/s"), r"path: '\?b=1' would only fit itself"),
        (lambda: middleware("1/s", exempt=["/a#b"]), "exempt: '#b' would only fit itself"),
    ],
)
def test_a_wrong_value_says_what_would_do(make: Callable[[], object], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        make()


def test_what_only_looks_like_a_mistake_is_taken() -> None:
    class Tenant:
        def __call__(self, scope: Any, default: str = "none") -> str:
            return default

    for key in (
        Tenant(),
        functools.partial(Tenant.__call__, Tenant()),
        lambda *scopes: "x",
        lambda scope, **more: "x",
        str.lower,
    ):
        keyed(key=key)
    for path in ("/a:b", "/a/b:copy", "/<", "/:1", "/{id}:x", "/a/{b:int}"):
        Rule("GET", path, limit="1/s")


class Called:
    async def __call__(self, request: Request) -> str:
        return "ok"


def test_objects_and_methods_whose_call_is_async_are_limited() -> None:
    class Endpoint(HTTPEndpoint):
        @starlette.limit("1/hour")
        async def get(self, request: Any) -> PlainTextResponse:
            return PlainTextResponse("ok")

        @starlette.limit("1/hour")
        def post(self, request: Any) -> PlainTextResponse:
            return PlainTextResponse("ok")

    fastapi, circuit = FastAPI(), CircuitBreaker("called", consecutive_failures=1)
    fastapi.get("/")(limit("1/hour")(Called()))
    plain = Starlette(routes=[Route("/", Endpoint)])
    with served(fastapi) as url:
        assert statuses(ask(url, "/", "/")) == [200, 429]
    with served(plain) as url:
        for method in ("GET", "POST"):
            assert statuses(ask(url, "/", "/", method=method)) == [200, 429]

    class Fails:
        async def __call__(self) -> None:
            raise OSError

    guarded: Any = circuit(Fails())
    with pytest.raises(OSError):
        run(guarded())
    assert circuit.state == "open"


def test_call_async_of_what_is_not_async_is_no_failure() -> None:
    circuit = CircuitBreaker("mistaken", consecutive_failures=1)
    text = r"call_async: the function is not async, it gave int; use `breaker.call\(…\)`"
    with pytest.raises(TypeError, match=text):
        run(circuit.call_async(lambda: 5))  # type: ignore[arg-type, return-value]
    assert circuit.state == "closed" and circuit.stats().calls == 0


@pytest.mark.parametrize("kind", ["bucket", "limiter", "push", "pop", "permit"])
def test_a_wait_that_blocks_an_event_loop_is_said_once_with_its_place(
    kind: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_log, "_said", {})
    bucket, limiter = TokenBucket("100/s", burst=1), RateLimiter("100/s", burst=1)
    queue: BoundedQueue[int] = BoundedQueue(1, high_watermark=1.0)
    full: BoundedQueue[int] = BoundedQueue(1, high_watermark=1.0)
    full.push(1)
    places = ConcurrencyLimiter(1)
    held = places.acquire()

    def wait(timeout: float) -> None:
        calls: dict[str, Callable[[], object]] = {
            "bucket": lambda: bucket.acquire(timeout=timeout),
            "limiter": lambda: limiter.acquire("ann", timeout=timeout),
            "push": lambda: full.push(1, timeout=timeout),
            "pop": lambda: queue.pop(timeout=timeout),
            "permit": lambda: places.acquire(timeout),
        }
        with contextlib.suppress(TidegateError):
            calls[kind]()

    async def route(timeout: float) -> None:
        for _ in range(3):
            wait(timeout)

    # Neither what does not wait nor a thread of its own blocks a loop.
    run(route(0))
    wait(0.02)
    assert not caplog.records
    run(route(0.02))
    run(route(0.02))
    (record,) = caplog.records
    assert "blocks the event loop" in record.getMessage() and "in route" in str(record.stack_info)
    held.release()


@pytest.mark.parametrize("dependency", [RateLimit("1/s"), breaker("undepended")])
def test_a_dependency_without_depends_is_told_so(dependency: Any) -> None:
    with pytest.raises(AttributeError, match=r"a dependency stands in Depends, as in dependencies=\[Depends\("):
        FastAPI().get("/", dependencies=[dependency])(lambda: None)
    with pytest.raises(AttributeError, match="object has no attribute 'limits'"):
        dependency.limits


def test_a_function_that_wants_a_request_is_said(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_log, "_said", {})
    for _ in range(2):
        keyed(key=lambda request: request.client.host)
        keyed(key=lambda scope: scope["client"][0])
    (record,) = caplog.records
    assert "<lambda>(request) is called with the ASGI scope, a dict" in record.getMessage()


def test_what_needs_an_event_loop_names_itself() -> None:
    with pytest.raises(RuntimeError, match=r"shedder\.watch: no event loop runs here; call it in a coroutine"):
        LoadShedder().watch()


def test_a_policy_of_no_text_names_its_argument() -> None:
    text: Any = None
    with pytest.raises(TypeError, match="text: expected the text of a policy as a str, got NoneType"):
        Policy.parse(text)


def test_a_watch_of_a_policy_without_a_loop_says_what_to_do(tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.write_text("version = 1\n")
    with pytest.raises(RuntimeError, match=r"policy\.watch: no event loop runs here; call it in a coroutine"):
        Policy.load(file).watch()
