"""A client over real HTTP while its server is slow, hangs, resets or answers 500 for a while."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import httpx
import pytest
import tidegate.httpx
from conftest import run
from faulty import Faulty, faulty
from tidegate import CircuitBreaker, CircuitOpenError, RetryBudget, RetryBudgetExceededError, RetryPolicy

COOLDOWN = 0.2
PROBES = 2
RATIO, FLOOR = 0.2, 5.0


def kinds(breaker: CircuitBreaker) -> list[str]:
    return [event.kind for event in breaker.events()]


@pytest.mark.parametrize("fault", ["slow 0.1", "hang", "reset", 500])
def test_a_fault_that_passes(fault: str | int) -> None:
    with faulty() as server:
        run(scene(server, fault))


async def scene(server: Faulty, fault: str | int) -> None:
    breaker = CircuitBreaker(
        "shop", window_calls=20, min_calls=5, consecutive_failures=5, slow_call_duration=0.05,
        slow_call_rate_threshold=0.9, cooldown=COOLDOWN, probes=PROBES,
    )  # fmt: skip
    budget = RetryBudget(RATIO, min_per_second=FLOOR, ttl=1)
    retry = RetryPolicy(attempts=3, base=0.01, budget=budget)
    transport = tidegate.httpx.AsyncTransport(breaker=breaker, retry=retry)
    begun = time.monotonic()
    async with httpx.AsyncClient(transport=transport, timeout=0.15) as client:
        calls = {"answered": 0, "refused": 0, "failed": 0}

        async def call() -> str:
            try:
                end = "answered" if (await client.get(server.url)).status_code == 200 else "failed"
            except CircuitOpenError:
                end = "refused"
            except (RetryBudgetExceededError, httpx.TransportError):
                end = "failed"
            calls[end] += 1
            return end

        for _ in range(30):
            assert await call() == "answered"
        server.mode = fault
        # Eight callers at once, until it opens and all that was under way is back.
        await crowd(call, lambda end: breaker.state == "open")
        assert breaker.stats().opened >= 1

        asked, cycles = len(server.asked), kinds(breaker).count("half_opened")
        end = time.monotonic() + 3 * COOLDOWN
        await crowd(call, lambda _: time.monotonic() > end)
        cycles = kinds(breaker).count("half_opened") - cycles
        assert 1 <= cycles <= 4, "one for each cooldown"
        assert len(server.asked) - asked <= PROBES * cycles, "nothing but probes while it is open"
        assert calls["refused"] > 50

        server.mode = 200
        opened, healed = breaker.stats().opened, time.monotonic()
        await crowd(call, lambda end: end == "answered" and breaker.state == "closed")
        assert breaker.stats().opened - opened <= 1, "by a probe that was under way when the server came back"
        assert time.monotonic() - healed < COOLDOWN + 2 * 0.15 + 5, "a cooldown and a probe; 5 s for a busy machine"
    closed = [event for event in breaker.events() if event.kind == "closed"][-1]
    last = [event for event in breaker.events() if event.kind == "opened"][-1]
    assert closed.at - last.at >= COOLDOWN, "and never before"

    stats, seconds = budget.stats(), time.monotonic() - begun
    assert stats.withdrawn <= max(1, FLOOR) + RATIO * stats.deposited + FLOOR * seconds
    made = calls["answered"] + calls["failed"]
    # A retry that the circuit refused in the end was paid for and not made.
    assert len(server.asked) <= made + calls["refused"] and len(server.asked) - stats.deposited <= stats.withdrawn


async def crowd(call: Callable[[], Awaitable[str]], enough: Callable[[str], bool]) -> None:
    done = asyncio.Event()

    async def caller() -> None:
        while not done.is_set():
            if enough(await call()):
                done.set()
            await asyncio.sleep(0.002)

    await asyncio.wait_for(asyncio.gather(*(caller() for _ in range(8))), 20)
