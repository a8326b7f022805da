"""How long a client is told to wait that finds no room: by the rate, unless that is given."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from test_http import cases
from tidegate import (
    BoundedQueue,
    ConcurrencyLimiter,
    ConcurrencyLimitError,
    ConfigError,
    ManualClock,
    Processor,
    QueueFullError,
    RetryPolicy,
)
from tidegate.headers import overload_retry_after


@pytest.mark.parametrize("case", cases("overload_waits"))
def test_overload_waits(case: Any) -> None:
    for ask in case["asks"]:
        told = overload_retry_after(int(ask["depth"]), int(ask["done"]), int(ask["window_ns"]) / 1e9, ask["draw"])
        assert told == ask["retry_after"], ask


@pytest.mark.parametrize("name", ["depth", "done", "window", "draw"])
def test_what_cannot_be_is_named(name: str) -> None:
    given: dict[str, Any] = {"depth": 1, "done": 1, "window": 10.0, "draw": 0.0}
    for wrong in (-1, float("nan"), "1"):
        with pytest.raises((ConfigError, TypeError, ValueError, OverflowError), match=f"^{name}: "):
            overload_retry_after(**{**given, name: wrong})


def test_a_full_queue_is_told_by_its_rate() -> None:
    clock = ManualClock()
    queue: BoundedQueue[int] = BoundedQueue(40, high_watermark=1.0, clock=clock)

    def told() -> float:
        for item in range(queue.capacity - queue.depth):
            assert queue.try_push(item)
        with pytest.raises(QueueFullError) as full:
            queue.push(0, timeout=0)
        return full.value.retry_after

    assert told() == 1.0, "not known yet"
    for _ in range(10):
        clock.advance(1)
        for _ in range(2):
            queue.try_pop()
        # 40 at 2/s, and up to a fifth more.
        assert 20 <= told() <= 24
    clock.advance(11)
    assert 60 <= told() <= 72, "nothing is done"
    assert BoundedQueue(1, retry_after=2.5).retry_after == 2.5


def test_a_full_limiter_is_told_by_its_rate() -> None:
    clock = ManualClock()
    limiter = ConcurrencyLimiter.adaptive(initial_limit=10, clock=clock)
    held = [limiter.try_acquire() for _ in range(10)]

    def told() -> float:
        with pytest.raises(ConcurrencyLimitError) as full:
            limiter.acquire(timeout=0)
        return full.value.retry_after

    assert told() == 1.0, "not known yet"
    clock.advance(4)
    for number in range(2):
        permit = held[number]
        assert permit is not None
        permit.release()
        held[number] = limiter.try_acquire()
    # 10 at 0.5/s, and up to a fifth more.
    assert 20 <= told() <= 24
    for permit in held:
        assert permit is not None
        permit.release()
    fixed = ConcurrencyLimiter(1, retry_after=2.5)
    with fixed.acquire(), pytest.raises(ConcurrencyLimitError) as full:
        fixed.acquire()
    assert full.value.retry_after == 2.5 == fixed.retry_after
    with pytest.raises(ConfigError, match=r"^retry_after: must be 0 or more"):
        ConcurrencyLimiter(1, retry_after=-1)


def test_a_full_processor_is_told_by_its_rate() -> None:
    clock, gate = ManualClock(), threading.Semaphore(0)

    def handle(_: int) -> None:
        gate.acquire()

    with Processor(handle, workers=1, capacity=9, retry=RetryPolicy(attempts=1, clock=clock)) as made:
        futures = [made.submit(item) for item in range(10)]

        def told() -> float:
            with pytest.raises(QueueFullError) as full:
                made.submit(0, timeout=0)
            return full.value.retry_after

        assert told() == 1.0, "not known yet"
        clock.advance(4)
        gate.release(2)
        for done in (0, 1):
            futures[done].result(10)
            futures.append(made.submit(done, timeout=10))
        # 10 at 0.5/s, and up to a fifth more.
        assert 20 <= told() <= 24
        gate.release(10)
