"""A route's limits, and another guard of the route that refuses the request before it runs: nothing stays charged."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi import Depends, FastAPI
from fastapi.responses import PlainTextResponse
from served import ask, served, statuses
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.routing import Route
from test_shed import gauge, press

from tidegate import (
    CircuitBreaker,
    ConcurrencyLimiter,
    Gate,
    LoadShedder,
    RateLimiter,
    Resilience,
    RetryPolicy,
    starlette,
)
from tidegate.fastapi import RateLimit, Shedding, admitted, breaker, install_exception_handlers, limit


held: list[Any] = []


@pytest.fixture(autouse=True)
def nothing_is_held() -> Iterator[None]:
    yield
    while held:
        held.pop().release()


def full() -> ConcurrencyLimiter:
    places = ConcurrencyLimiter(1)
    held.append(places.acquire())
    return places


def opened() -> CircuitBreaker:
    circuit = CircuitBreaker("it")
    circuit.force_open()
    return circuit


def shedding() -> LoadShedder:
    """All but one in a hundred."""
    shedder, clock = gauge()
    press(shedder, clock, 1)
    return shedder


# Guards that refuse, as decorators and as dependencies of FastAPI.
DECORATORS: dict[str, Callable[[], Any]] = {
    "breaker": opened,
    "concurrency": full,
    "breaker of a resilience": lambda: Resilience(breaker=opened()),
    "concurrency of a resilience": lambda: Resilience(concurrency=full(), retry=RetryPolicy(2, base=0)),
}
DEPENDENCIES: dict[str, Callable[[], Any]] = {
    "breaker": lambda: breaker(opened()),
    "shedder": lambda: Shedding(shedding(), "sheddable"),
    "gate, concurrency": lambda: admitted(Gate("orders", concurrency=full())),
    "gate, breaker": lambda: admitted(
        Gate("orders", dependencies={"payment": opened()}), dependencies=["payment"]
    ),
    "gate, shedder": lambda: admitted(Gate("orders", shedder=shedding()), priority="sheddable"),
}


def route_of(is_async: bool, does: Callable[[], object] = lambda: None) -> Callable[..., Any]:
    async def asynchronous(request: Request) -> PlainTextResponse:
        does()
        return PlainTextResponse("served")

    def synchronous(request: Request) -> PlainTextResponse:
        does()
        return PlainTextResponse("served")

    return asynchronous if is_async else synchronous


def behind(dependency: Any, is_async: bool) -> Callable[..., Any]:
    async def asynchronous(held: Any = Depends(dependency)) -> PlainTextResponse:
        return PlainTextResponse("served")

    def synchronous(held: Any = Depends(dependency)) -> PlainTextResponse:
        return PlainTextResponse("served")

    return asynchronous if is_async else synchronous


def charged(app: Any, limiter: RateLimiter) -> int:
    """What is charged for those that a guard has refused."""
    with served(app) as url:
        answers = ask(url, *["/"] * 5)
    answered = statuses(answers)
    assert set(answered) <= {200, 503} and 503 in answered
    refused = next(answer for answer in answers if answer.status == 503)
    kept = 100 - limiter.peek("127.0.0.1").remaining - answered.count(200)
    if kept == 0 and 200 not in answered and "RateLimit" in refused.headers:
        assert ";r=100" in refused.headers["RateLimit"], "what the client is told is what it has"
    return kept


def app_of(route: Any, *dependencies: Any) -> FastAPI:
    app = FastAPI()
    install_exception_handlers(app)
    app.get("/", dependencies=[Depends(one) for one in dependencies])(route)
    return app


@pytest.mark.parametrize("is_async", [True, False])
@pytest.mark.parametrize("is_decorator", [True, False])
@pytest.mark.parametrize("guard", DEPENDENCIES)
def test_a_dependency_that_refuses_leaves_no_charge(guard: str, is_decorator: bool, is_async: bool) -> None:
    limiter, route = RateLimiter("100/hour"), route_of(is_async)
    if is_decorator:
        # The limit's dependency comes in front of those that FastAPI asks after it.
        app = app_of(limit(limiter)(behind(DEPENDENCIES[guard](), is_async)))
    else:
        app = app_of(route, RateLimit(limiter), DEPENDENCIES[guard]())
    assert charged(app, limiter) == 0


@pytest.mark.parametrize("is_async", [True, False])
@pytest.mark.parametrize("way", ["dependency", "decorator", "starlette"])
@pytest.mark.parametrize("guard", DECORATORS)
def test_a_decorator_that_refuses_leaves_no_charge(guard: str, way: str, is_async: bool) -> None:
    limiter, route = RateLimiter("100/hour"), DECORATORS[guard]()(route_of(is_async))
    if way == "starlette":
        app: Any = Starlette(routes=[Route("/", starlette.limit(limiter)(route))])
        starlette.install_exception_handlers(app)
    else:
        app = app_of(route, RateLimit(limiter)) if way == "dependency" else app_of(limit(limiter)(route))
    assert charged(app, limiter) == 0


@pytest.mark.parametrize("is_async", [True, False])
@pytest.mark.parametrize("way", ["dependency", "decorator", "starlette"])
@pytest.mark.parametrize("what", ["called", "decorated", "with", "in threads", "second attempt"])
def test_what_a_route_is_refused_itself_stays_charged(what: str, way: str, is_async: bool) -> None:
    """It has run."""
    limiter, circuit, calls = RateLimiter("100/hour"), opened(), list[int]()

    def attempt() -> None:
        calls.append(1)
        raise ValueError("broken")

    def inside() -> None:
        with circuit.acquire():
            pass

    does: dict[str, Callable[[], object]] = {
        "called": lambda: circuit.call(dict),
        "decorated": circuit(lambda: 1),
        "with": inside,
        "in threads": lambda: None,
        "second attempt": lambda: None,
    }
    route: Any = route_of(is_async, does[what])
    if what == "in threads" and is_async:

        async def in_threads(request: Request) -> PlainTextResponse:
            await run_in_threadpool(circuit(lambda: 1))
            return PlainTextResponse("served")

        route = in_threads
    elif what == "in threads":
        pytest.skip("it runs in one")
    elif what == "second attempt":
        breaker_of = CircuitBreaker("retried", consecutive_failures=1)
        route = Resilience(retry=RetryPolicy(2, base=0), breaker=breaker_of)(route_of(is_async, attempt))
    if way == "starlette":
        app: Any = Starlette(routes=[Route("/", starlette.limit(limiter)(route))])
        starlette.install_exception_handlers(app)
    else:
        app = app_of(route, RateLimit(limiter)) if way == "dependency" else app_of(limit(limiter)(route))
    with served(app) as url:
        answered = statuses(ask(url, "/"))
    assert answered in ([503], [500]) and limiter.peek("127.0.0.1").remaining == 99
