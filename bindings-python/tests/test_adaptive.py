"""Adaptive limits: what a `with` reports, what is refused, and what stands in a scope that processes share."""

from __future__ import annotations

import asyncio
import math
import socket
from typing import Any

import pytest
from tidegate import CircuitOpenError, ConcurrencyLimiter, ConfigError, ManualClock
from tidegate.asgi import TidegateMiddleware


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
        scope["client"] = ("127.0.0.1", 1)
        calls = [asyncio.create_task(guarded(dict(scope), receive, send)) for _ in range(10)]
        await asyncio.sleep(0.01)
        assert (limiter.in_use, limiter.try_acquire()) == (10, None)
        clock.advance(0.5)
        wait.set()
        await asyncio.gather(*calls, return_exceptions=True)

    asyncio.run(main())
    assert (limiter.in_use, limiter.limit) == (0, limit)
