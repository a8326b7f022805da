"""Adaptive limits: what a `with` reports, what is refused, and what stands in a scope that processes share."""

from __future__ import annotations

import asyncio
import math
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from conftest import run
from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import StreamingResponse
from served import served
from tidegate import (
    CircuitOpenError,
    ConcurrencyLimiter,
    ConfigError,
    ManualClock,
    QueueClosedError,
    Resilience,
    Timeout,
    TimeoutExceededError,
)
from tidegate.asgi import TidegateMiddleware
from tidegate.fastapi import install_exception_handlers


def made(**options: Any) -> tuple[ConcurrencyLimiter, ManualClock]:
    clock = ManualClock(1_000_000_000_000)
    return ConcurrencyLimiter.adaptive(initial_limit=10, probe=False, samples=10, clock=clock, **options), clock


def window(limiter: ConcurrencyLimiter, clock: ManualClock, error: BaseException | None) -> int:
    """The limit after calls of half a second that all end so, with somebody refused."""
    held = [limiter.try_acquire() for _ in range(limiter.limit)]
    assert limiter.try_acquire() is None
    clock.advance(0.5)
    for permit in held:
        assert permit is not None
        try:
            with permit:
                if error is not None:
                    raise error
        except type(error) if error is not None else ():
            pass
    assert limiter.in_use == 0
    return limiter.limit


def test_a_call_that_returns_is_a_success() -> None:
    limiter, clock = made()
    assert [window(limiter, clock, None) for _ in range(2)] == [20, 40]
    assert limiter.explain()[0] == "algorithm: gradient, after 2 windows"


@pytest.mark.parametrize(
    "error", [TimeoutError(), asyncio.TimeoutError(), socket.timeout(), CircuitOpenError("db", 1.0)], ids=repr
)
def test_a_timeout_and_a_refusal_are_drops(error: Exception) -> None:
    limiter, clock = made()
    assert window(limiter, clock, error) == 9


@pytest.mark.parametrize("error", [ValueError(), KeyError(), KeyboardInterrupt(), asyncio.CancelledError()], ids=repr)
def test_any_other_error_says_nothing(error: BaseException) -> None:
    limiter, clock = made()
    assert window(limiter, clock, error) == 10
    assert limiter.explain()[0] == "algorithm: gradient, after 0 windows"


def test_async_and_decorated_calls_report() -> None:
    limiter, clock = made()

    @limiter
    async def call(wait: asyncio.Event) -> None:
        await wait.wait()

    async def main() -> None:
        wait = asyncio.Event()
        calls = [asyncio.create_task(call(wait)) for _ in range(9)]
        await asyncio.sleep(0)
        async with await limiter.acquire_async():
            assert limiter.try_acquire() is None
            clock.advance(0.5)
            wait.set()
            await asyncio.gather(*calls)

    asyncio.run(main())
    assert limiter.limit == 20


def test_a_permit_counts_once() -> None:
    limiter, clock = made()
    for _ in range(30):
        permit = limiter.try_acquire()
        assert permit is not None
        clock.advance(0.1)
        assert permit.release()
        assert [permit.success(), permit.dropped(), permit.ignore(), permit.release()] == [False] * 4
    assert limiter.explain()[0] == "algorithm: gradient, after 0 windows"


@pytest.mark.parametrize("latency", [math.nan, -1, -0.001, math.inf])
def test_a_latency_that_is_none_is_refused_and_the_permit_stays(latency: float) -> None:
    limiter, _ = made()
    permit = limiter.try_acquire()
    assert permit is not None
    with pytest.raises(ConfigError, match="^latency: "):
        permit.success(latency)
    with pytest.raises(TypeError, match="^latency: "):
        permit.dropped("soon")  # type: ignore[arg-type]
    assert limiter.in_use == 1
    assert permit.success(latency=0)


def test_wrong_settings_are_named() -> None:
    with pytest.raises(ConfigError, match="^tolerance: "):
        ConcurrencyLimiter.adaptive(tolerance=math.nan)
    with pytest.raises(ConfigError, match="^initial_limit: 30 is above max_limit, 20"):
        ConcurrencyLimiter.adaptive(initial_limit=30, max_limit=20)
    with pytest.raises(ConfigError, match='^algorithm: .*"gradient2"'):
        ConcurrencyLimiter.adaptive("median")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="^limit: an adaptive limit moves by itself"):
        ConcurrencyLimiter.adaptive().set_limit(5)
    assert ConcurrencyLimiter.adaptive(max_limit=10).limit == 10
    assert ConcurrencyLimiter.adaptive("aimd").explain()[1] == "limit: 20 of 20 to 200, from 20"
    assert ConcurrencyLimiter(4).explain() == []


def test_one_name_is_one_estimate() -> None:
    both = [ConcurrencyLimiter.adaptive(min_limit=2, max_limit=8, scope="process:adaptive", name="db") for _ in "12"]
    held = [limiter.try_acquire() for limiter in both * 4]
    assert all(limiter.try_acquire() is None for limiter in both)
    assert [limiter.in_use for limiter in both] == [8, 8]
    assert all(permit is not None and permit.success() for permit in held)
    assert both[0].explain() == both[1].explain()


@pytest.mark.parametrize(("error", "limit"), [(None, 20), (TimeoutError(), 9), (ValueError(), 10)], ids=repr)
def test_the_middleware_reports(error: Exception | None, limit: int) -> None:
    limiter, clock = made()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await wait.wait()
        if error is not None:
            raise error
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b""}

    async def send(message: Any) -> None:
        pass

    wait = asyncio.Event()

    async def main() -> None:
        guarded = TidegateMiddleware(app, concurrency=limiter)
        scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "root_path": ""}
        calls = [asyncio.create_task(guarded(dict(scope), receive, send)) for _ in range(10)]
        await asyncio.sleep(0.01)
        assert (limiter.in_use, limiter.try_acquire()) == (10, None)
        clock.advance(0.5)
        wait.set()
        await asyncio.gather(*calls, return_exceptions=True)

    asyncio.run(main())
    assert (limiter.in_use, limiter.limit) == (0, limit)


def held_open(limiter: ConcurrencyLimiter, clock: ManualClock, url: str, *, leave: bool = False) -> list[int]:
    """The statuses of calls of half a second, as many as the limit."""

    async def main() -> list[int]:
        async with aiohttp.ClientSession() as session:

            async def get() -> int:
                async with session.get(f"{url}/") as response:
                    await response.read()
                    return response.status

            calls = [asyncio.create_task(get()) for _ in range(10)]
            await settled(lambda: limiter.in_use == 10)
            assert limiter.try_acquire() is None
            clock.advance(0.5)
            if leave:
                for call in calls:
                    call.cancel()
            else:
                async with session.get(f"{url}/open") as response:
                    assert response.status == 200
            answers = await asyncio.gather(*calls, return_exceptions=True)
            await settled(lambda: limiter.in_use == 0)
            return sorted({answer for answer in answers if isinstance(answer, int)})

    found: list[int] = run(main())
    return found


async def settled(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.001)


def application(limiter: ConcurrencyLimiter, end: Callable[[Request], Awaitable[Any]], *, is_route: bool) -> FastAPI:
    """Waits for `/open` before it ends; behind the middleware, or with the limiter round its route."""
    app, gate = FastAPI(), asyncio.Event()
    install_exception_handlers(app)

    async def work(request: Request) -> Any:
        # The one that hangs is left by its client.
        if end is gone:
            return await gone(request)
        await gate.wait()
        return await end(request)

    @app.get("/open")
    async def open_gate() -> None:
        gate.set()

    app.get("/")(limiter(work) if is_route else work)
    if not is_route:
        app.add_middleware(TidegateMiddleware, concurrency=limiter, exempt=("/open",))
    return app


def answers(status: int) -> Callable[[Request], Awaitable[Any]]:
    async def end(_: Request) -> Response:
        return Response(status_code=status)

    return end


def raises(error: Exception) -> Callable[[Request], Awaitable[Any]]:
    async def end(_: Request) -> None:
        raise error

    return end


async def gone(request: Request) -> None:
    while not await request.is_disconnected():
        await asyncio.sleep(0.001)


async def streams(_: Request) -> Response:
    async def body() -> AsyncIterator[bytes]:
        yield b"one"
        await asyncio.sleep(0)
        yield b"two"

    return StreamingResponse(body())


@pytest.mark.parametrize("http", ["httptools", "h11"])
@pytest.mark.parametrize(
    ("end", "status", "limit"),
    [
        (answers(200), 200, 20),
        (streams, 200, 20),
        (answers(404), 404, 20),
        (raises(HTTPException(404)), 404, 20),
        (answers(429), 429, 10),
        (answers(500), 500, 10),
        (raises(ValueError()), 500, 10),
        (answers(503), 503, 9),
        (raises(HTTPException(504)), 504, 9),
        (raises(CircuitOpenError("db", 1.0)), 503, 9),
        (raises(TimeoutError()), 500, 9),
    ],
)
def test_the_middleware_judges_answers_of_a_server(
    end: Callable[[Request], Awaitable[Any]], status: int, limit: int, http: str
) -> None:
    limiter, clock = made()
    with served(application(limiter, end, is_route=False), http) as url:
        assert held_open(limiter, clock, url) == [status]
    assert limiter.limit == limit


@pytest.mark.parametrize(
    ("end", "status", "limit"),
    [
        (answers(200), 200, 20),
        (streams, 200, 20),
        # What a function raises says nothing, whatever becomes of it.
        (raises(HTTPException(404)), 404, 10),
        (raises(ValueError()), 500, 10),
        (raises(HTTPException(503)), 503, 9),
        (raises(QueueClosedError("orders")), 503, 9),
        (raises(TimeoutError()), 500, 9),
    ],
)
def test_a_route_under_a_limiter_reports(
    end: Callable[[Request], Awaitable[Any]], status: int, limit: int
) -> None:
    limiter, clock = made()
    with served(application(limiter, end, is_route=True)) as url:
        assert held_open(limiter, clock, url) == [status]
    assert limiter.limit == limit


def test_a_client_that_has_gone_says_nothing() -> None:
    limiter, clock = made()
    with served(application(limiter, gone, is_route=False)) as url:
        assert held_open(limiter, clock, url, leave=True) == []
    assert (limiter.limit, limiter.explain()[0]) == (10, "algorithm: gradient, after 0 windows")


@pytest.mark.parametrize("part", ["attempt_timeout", "total_timeout"])
def test_a_call_that_resilience_cuts_is_dropped(part: str) -> None:
    limiter, clock = made()
    guarded = Resilience(concurrency=limiter, **{part: Timeout(1, 1, clock=clock)})  # type: ignore[arg-type]

    async def main() -> list[Any]:
        calls = [asyncio.create_task(guarded.call_async(asyncio.Event().wait)) for _ in range(10)]
        await settled(lambda: limiter.in_use == 10)
        clock.advance(1.5)
        return await asyncio.gather(*calls, return_exceptions=True)

    ends = run(main())
    assert {type(end) for end in ends} == {TimeoutExceededError}
    assert limiter.limit == 9


def test_resilience_reports_results_errors_and_cancelled_calls() -> None:
    for end, limit in ((lambda: 1, 20), (raised(ValueError), 10), (raised(CircuitOpenError), 9), (None, 10)):
        limiter, clock = made()
        guarded = Resilience(concurrency=limiter)

        async def main(limiter: Any = limiter, clock: Any = clock, guarded: Any = guarded, end: Any = end) -> None:
            gate = asyncio.Event()

            async def work() -> Any:
                await gate.wait()
                return end()

            calls = [asyncio.create_task(guarded.call_async(work)) for _ in range(10)]
            await settled(lambda: limiter.in_use == 10)
            assert limiter.try_acquire() is None
            clock.advance(0.5)
            if end is None:
                for call in calls:
                    call.cancel()
            gate.set()
            await asyncio.gather(*calls, return_exceptions=True)

        run(main())
        assert (limiter.in_use, limiter.limit) == (0, limit)


def raised(kind: type[Exception]) -> Callable[[], Any]:
    def end() -> Any:
        raise kind("db", 1.0)

    return end
