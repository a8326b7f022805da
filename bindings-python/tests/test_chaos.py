"""A client over real HTTP while its server is slow, hangs, resets or answers 500 for a while.

The scenes are `tests/resilience/chaos.json`, which Node plays as well.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import tidegate.httpx
from conftest import run
from faulty import Faulty, faulty
from tidegate import CircuitBreaker, CircuitOpenError, RetryBudget, RetryBudgetExceededError, RetryPolicy

PLAN = json.loads((Path(__file__).parents[2] / "tests/resilience/chaos.json").read_text())
WAITING = PLAN["waiting"]
# A process that stood still for so long made slow what was quick: what it saw says nothing.
STALL = 0.1


class Pulse:
    """How long the event loop stood still at most."""

    worst = 0.0

    async def beat(self) -> None:
        while True:
            begun = time.monotonic()
            await asyncio.sleep(0.01)
            self.worst = max(self.worst, time.monotonic() - begun - 0.01)


def undisturbed(scene: Callable[[Faulty], Awaitable[None]]) -> None:
    """Plays a scene, again where it failed and the loop stood still."""

    async def beside(pulse: Pulse, server: Faulty) -> None:
        beat = asyncio.create_task(pulse.beat())
        try:
            await scene(server)
        finally:
            beat.cancel()

    for _ in range(5):
        pulse = Pulse()
        try:
            with faulty() as server:
                run(beside(pulse, server))
            return
        except AssertionError:
            if pulse.worst < STALL:
                raise
    pytest.skip("this machine is too busy: it stood still each time")


def settings(of: dict[str, Any]) -> dict[str, Any]:
    """As Python names them: spans in seconds."""
    return {
        name.removesuffix("_ms"): value / 1000 if name.endswith("_ms") and value is not None else value
        for name, value in of.items()
    }


def act_of(case: dict[str, Any]) -> str:
    return f"slow {case['takes_ms'] / 1000}" if case["act"] == "slow" else str(case["act"])


@pytest.mark.parametrize("case", PLAN["cases"], ids=lambda case: case["name"])
def test_a_fault_that_passes(case: dict[str, Any]) -> None:
    undisturbed(lambda server: passing(server, case))


async def passing(server: Faulty, case: dict[str, Any]) -> None:
    given, told, paid = (settings(PLAN[name]) for name in ("breaker", "retry", "budget"))
    ramp, timeout, spare = case.get("ramp_ms", 0) / 1000, PLAN["timeout_ms"] / 1000, PLAN["spare_ms"] / 1000
    breaker = CircuitBreaker("shop", **given, ramp=ramp or None)
    budget = RetryBudget(**paid)
    transport = tidegate.httpx.AsyncTransport(breaker=breaker, retry=RetryPolicy(**told, budget=budget))
    begun = time.monotonic()
    async with httpx.AsyncClient(transport=transport, timeout=timeout) as client:
        calls = {"answered": 0, "refused": 0, "failed": 0}

        def cycles() -> int:
            return [event.kind for event in breaker.events()].count("half_opened")

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
        server.mode = act_of(case)
        # Several callers at once, until it opens and all that was under way is back.
        await crowd(call, lambda end: breaker.state == "open")
        assert breaker.stats().opened >= 1

        asked, before = len(server.asked), cycles()
        await crowd(call, lambda end: cycles() - before >= 3)
        assert len(server.asked) - asked <= given["probes"] * (cycles() - before), "nothing but probes while open"
        assert calls["refused"] > 3 * PLAN["callers"]

        server.mode = 200
        opened, healed = breaker.stats().opened, time.monotonic()
        await crowd(call, lambda end: end == "answered" and breaker.state == "closed")
        assert breaker.stats().opened - opened <= 1, "by a probe that was under way when the server came back"
        # That probe, a cooldown, and the probes by which it closes.
        most = timeout + given["cooldown"] + 2 * given["slow_call_duration"] + spare
        assert time.monotonic() - healed < most
        await asyncio.sleep(ramp)
        refused = calls["refused"]
        for _ in range(30):
            assert await call() == "answered", "all is as it was"
        assert calls["refused"] == refused and breaker.stats().opened - opened <= 1
    events = breaker.events()
    closed = [event for event in events if event.kind == "closed"][-1]
    last = [event for event in events if event.kind == "opened"][-1]
    assert closed.at - last.at >= given["cooldown"], "and never before"
    assert [event.kind for event in events].count("ramp_started") == (1 if ramp else 0)

    stats, seconds = budget.stats(), time.monotonic() - begun
    floor = paid["min_per_second"]
    assert stats.withdrawn <= max(1, floor * paid["ttl"]) + paid["ratio"] * stats.deposited + floor * seconds
    # Each is a call that was admitted, or a retry that was paid for.
    assert len(server.asked) <= stats.deposited + stats.withdrawn


async def crowd(call: Callable[[], Awaitable[str]], enough: Callable[[str], bool]) -> None:
    done = asyncio.Event()

    async def caller() -> None:
        while not done.is_set():
            if enough(await call()):
                done.set()
            await asyncio.sleep(0.002)

    await asyncio.wait_for(asyncio.gather(*(caller() for _ in range(PLAN["callers"]))), 20)


@pytest.mark.parametrize("case", WAITING["cases"], ids=lambda case: case["name"])
def test_those_who_wait_for_it_to_close(case: dict[str, Any]) -> None:
    undisturbed(lambda server: waiting(server, case))


async def waiting(server: Faulty, case: dict[str, Any]) -> None:
    ramp, within = case["ramp_ms"] and case["ramp_ms"] / 1000, WAITING["within_ms"] / 1000
    breaker = CircuitBreaker(
        "shop", consecutive_failures=1, cooldown=WAITING["cooldown_ms"] / 1000, probes=WAITING["probes"], ramp=ramp
    )
    transport = tidegate.httpx.AsyncTransport(breaker=breaker)
    # When it closed, and when each came who was let through.
    closed: list[float] = []
    passed: list[float] = []
    async with httpx.AsyncClient(transport=transport) as client:

        async def waits() -> None:
            while not closed or time.monotonic() <= closed[0] + within:
                came = time.monotonic()
                try:
                    await client.get(server.url)
                except CircuitOpenError as refused:
                    await asyncio.sleep(refused.retry_after)
                    continue
                passed.append(came)
                if breaker.state == "closed":
                    closed.append(time.monotonic())
                return

        server.mode = 500
        await client.get(server.url)
        assert breaker.state == "open"
        server.mode = 200
        await asyncio.wait_for(asyncio.gather(*(waits() for _ in range(WAITING["clients"]))), 20)
    assert breaker.stats().rejected >= WAITING["clients"], "all of them waited"
    assert case["least"] <= sum(came <= closed[0] + within for came in passed) <= case["most"]
