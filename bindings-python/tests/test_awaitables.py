"""Plain functions that give an awaitable: what they do is done while it is awaited, and not in the call. Each guard
says so, for its outcome would be a success that nobody saw, and its work would run without the permit.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Generator
from typing import Any

import pytest
from aiohttp import ClientSession
from conftest import run
from tidegate import (
    CircuitBreaker,
    ClientThrottle,
    ConcurrencyLimiter,
    Fallback,
    Gate,
    ManualClock,
    Resilience,
    RetryPolicy,
    Timeout,
)
from werkzeug.local import LocalProxy

Call = Callable[[Callable[[], Any]], Any]
MADE: list[Any] = []


async def work() -> int:
    return 7


class Lazy:
    """As a driver has them: no coroutine, and none of asyncio's."""

    def __await__(self) -> Generator[Any, None, int]:
        return work().__await__()


def kept(made: Any) -> Any:
    MADE.append(made)
    return made


AWAITABLES: dict[str, Callable[[], Any]] = {
    "coroutine": lambda: work(),
    "task": lambda: kept(asyncio.ensure_future(work())),
    "executor": lambda: kept(asyncio.get_running_loop().run_in_executor(None, lambda: 7)),
    "gather": lambda: kept(asyncio.gather(work(), work())),
    "object": lambda: Lazy(),
    # Plain, and it sends nothing until it is awaited.
    "aiohttp": lambda: ClientSession.get(kept(ClientSession()), "http://127.0.0.1:1/"),
}
BREAKER = functools.partial(CircuitBreaker, "lazy", consecutive_failures=1, cooldown=1, probes=1)


def guards() -> dict[str, tuple[Any, Call]]:
    """The part that is asked for its permit, and a call of a function under it."""
    breaker, own, limiter, inner = BREAKER(), BREAKER(), ConcurrencyLimiter(1), ConcurrencyLimiter(1)
    gate = Gate("lazy", concurrency={"all": ConcurrencyLimiter(1)})
    return {
        "@breaker": (breaker, lambda f: breaker(f)()),
        "breaker.call": (own, own.call),
        "@limiter": (limiter, lambda f: limiter(f)()),
        "@resilience": (inner, lambda f: Resilience(concurrency=inner)(f)()),
        "resilience.call": (inner, Resilience(concurrency=inner, breaker=BREAKER()).call),
        "gate.call": (gate, lambda f: gate.call(lambda admission: f())),
        "retry": (None, RetryPolicy(attempts=2, base=0.001).call),
        "@timeout": (None, lambda f: Timeout(total=5)(f)()),
        "throttle": (None, ClientThrottle().call),
        "fallback": (None, lambda f: Fallback(static=1).call(f).value),
    }


@pytest.mark.parametrize("kind", AWAITABLES)
@pytest.mark.parametrize("guard", guards())
def test_an_awaitable_of_a_plain_function_is_the_caller_s_mistake(guard: str, kind: str) -> None:
    part, call = guards()[guard]

    async def main() -> None:
        MADE.clear()
        for _ in range(2):
            # Twice: the permit has gone back.
            with pytest.raises(TypeError, match=r"`await \S+\.call_async\(…\)`, or decorate an `async def`"):
                call(AWAITABLES[kind])
        for made in MADE:
            if isinstance(made, ClientSession):
                await made.close()
            else:
                # Still the caller's.
                assert await made in (7, [7, 7])

    run(main())
    if isinstance(part, CircuitBreaker):
        assert part.state == "closed" and part.stats().calls == 0
    if isinstance(part, ConcurrencyLimiter):
        assert part.in_use == 0
    assert call(lambda: 5) == 5


@pytest.mark.parametrize("form", ["@", "call"])
def test_a_probe_that_gave_an_awaitable_is_given_back(form: str) -> None:
    clock = ManualClock()
    breaker = BREAKER(clock=clock)

    def fail() -> None:
        raise OSError

    with pytest.raises(OSError):
        breaker.call(fail)
    clock.advance(2)
    call: Call = breaker.call if form == "call" else lambda f: breaker(f)()
    for _ in range(3):
        with pytest.raises(TypeError):
            call(lambda: Lazy())
    assert breaker.state == "half_open"
    assert call(lambda: 5) == 5 and breaker.state == "closed"


def test_what_is_no_awaitable_passes() -> None:
    """A class of proxies has every method; what one stands for counts."""
    breaker, limiter = BREAKER(), ConcurrencyLimiter(1)
    there: Any = LocalProxy(lambda: 5)

    def gone() -> Any:
        raise RuntimeError

    for proxy in (there, LocalProxy(gone)):
        for call in (breaker.call, lambda f: breaker(f)(), lambda f: limiter(f)(), RetryPolicy().call):
            assert call(lambda proxy=proxy: proxy) is proxy  # type: ignore[misc]
    with pytest.raises(TypeError):
        breaker.call(lambda: LocalProxy(Lazy))


@pytest.mark.parametrize("given", ["failure_on", "failure_result", "retry_on"])
def test_a_judge_s_awaitable_is_no_answer(given: str) -> None:
    """It would be true of every outcome."""

    def fail() -> None:
        raise OSError

    def judge(_: object) -> Any:
        return Lazy()

    call: Call
    if given == "retry_on":
        call = RetryPolicy(attempts=2, base=0.001, retry_on=judge).call
    else:
        options: dict[str, Any] = {given: judge}
        call = BREAKER(**options).call
    with pytest.raises(TypeError, match=f"{given}: a function of the \\w+ cannot be async"):
        call((lambda: 5) if given == "failure_result" else fail)


def test_async_functions_are_awaited_as_ever() -> None:
    async def main() -> None:
        breaker = BREAKER()
        lazy: Callable[[], Awaitable[int]] = Lazy
        assert await breaker.call_async(lazy) == 7
        assert await ConcurrencyLimiter(1)(work)() == 7
        assert await Resilience(breaker=breaker).call_async(lazy) == 7

    run(main())
