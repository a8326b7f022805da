"""Nothing grows: references, and the memory of a long loop."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import weakref
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Thread, run
from tidegate import (
    BoundedQueue,
    CircuitBreaker,
    CircuitOpenError,
    ConcurrencyLimiter,
    ConcurrencyLimitError,
    HostScope,
    QueueFullError,
    RateLimitedError,
    RateLimiter,
    TokenBucket,
)


def bucket_work() -> None:
    bucket = TokenBucket("1/hour", burst=2)
    bucket.try_acquire()
    bucket.check()
    bucket.reserve(1).cancel()
    for bad in ("x", 10**30, 1.5):
        try:
            bucket.try_acquire(bad)  # type: ignore[arg-type]
        except (TypeError, ValueError):
            pass
    try:
        bucket.acquire(2, timeout=0)
    except RateLimitedError:
        pass


def breaker_work() -> None:
    breaker = CircuitBreaker("leak", consecutive_failures=2, failure_on=lambda error: True)
    guarded = breaker(lambda: 1 / 0)
    for _ in range(4):
        try:
            guarded()
        except (ZeroDivisionError, CircuitOpenError):
            pass
    breaker.events()
    breaker.stats()
    breaker.reset()
    with breaker.acquire():
        breaker.acquire()


def queue_work() -> None:
    queue: BoundedQueue[object] = BoundedQueue(2, high_watermark=1.0)
    queue.push(object())
    queue.push(object())
    try:
        queue.push(object(), timeout=0)
    except QueueFullError:
        pass
    queue.pop()
    popper = queue._listen_pop(lambda: None)
    pusher = queue._listen_push(lambda: None)
    popper.cancel()
    del pusher
    queue.close()


def waiting_work() -> None:
    queue: BoundedQueue[int] = BoundedQueue(1)

    async def scene() -> None:
        waiting = [asyncio.ensure_future(queue.pop_async()) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        for n in range(2):
            await queue.push_async(n)
        await asyncio.gather(*waiting, return_exceptions=True)

    run(scene())
    pusher = Thread(lambda: [queue.push(n) for n in range(5)])
    for _ in range(5):
        queue.pop()
    pusher.finish()


def permit_work() -> None:
    limiter = ConcurrencyLimiter(1, max_wait=None)

    async def scene() -> None:
        held = await limiter.acquire_async()
        waiting = [asyncio.ensure_future(limiter.acquire_async()) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        held.release()
        (await waiting[1]).release()
        async with await waiting[2]:
            try:
                await limiter.acquire_async(timeout=0)
            except ConcurrencyLimitError:
                pass
        await asyncio.gather(*waiting, return_exceptions=True)

    run(scene())
    with limiter.acquire():
        thread = Thread(lambda: limiter.acquire().release())
    thread.finish()


def arena_work() -> None:
    scope = "process:leaks"
    kept = [TokenBucket("5/s", scope=scope, name="bucket"), CircuitBreaker("breaker", scope=scope)]
    with ConcurrencyLimiter(2, scope=scope, name="permits").acquire():
        assert RateLimiter("5/s", max_keys=100, scope=scope, name="keys").try_acquire("x") in (True, False)
    for wrong in ("5/m", "6/s"):
        with pytest.raises(Exception, match="declared|rate"):
            TokenBucket(wrong, scope=scope, name="bucket")
    assert kept


@pytest.mark.parametrize("work", [bucket_work, breaker_work, queue_work, waiting_work, permit_work, arena_work])
def test_memory_stays_level(work: Callable[[], None]) -> None:
    rounds = 100

    def blocks() -> int:
        for _ in range(rounds):
            work()
        gc.collect()
        return sys.getallocatedblocks()

    # asyncio's and the interpreter's own caches fill up in bursts; a leak grows in every window.
    before, growth = blocks(), []
    for _ in range(40):
        now = blocks()
        growth.append(now - before)
        before = now
        if growth[-1] < rounds / 10:
            return
    pytest.fail(f"blocks that Python counts grow with every {rounds} rounds: {growth}")


def test_items_are_released() -> None:
    class Item:
        pass

    queue: BoundedQueue[Item] = BoundedQueue(4, on_full="drop_oldest", high_watermark=1.0)
    items = [Item() for _ in range(8)]
    refs = [weakref.ref(item) for item in items]
    for item in items:
        queue.push(item)
    del item, items
    assert [ref() is None for ref in refs] == [True] * 4 + [False] * 4, "dropped ones go at once"
    queue.pop()
    assert refs[4]() is None
    del queue
    assert all(ref() is None for ref in refs), "the rest goes with the queue"


def test_refused_items_and_arguments_are_released() -> None:
    queue: BoundedQueue[object] = BoundedQueue(1)
    queue.push(None)
    item = object()
    before = sys.getrefcount(item)
    for _ in range(100):
        assert not queue.try_push(item)
    assert sys.getrefcount(item) == before
    default = object()
    queue.pop()
    before = sys.getrefcount(default)
    for _ in range(100):
        assert queue.try_pop(default) is default
    assert sys.getrefcount(default) == before


def test_native_memory_stays_level() -> None:
    # Native blocks do not show among Python's, only in the resident size.
    resource = pytest.importorskip("resource")

    def peak() -> int:
        for _ in range(2000):
            BoundedQueue(1000).try_push(b"x" * 1000)
            CircuitBreaker(window_calls=1000)
            TokenBucket("5/s")
        return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)

    peak()
    before = peak()
    # 2,000 leaked queues alone would be 16 MB or more.
    assert peak() - before < 8 * 1024


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="no /proc")
def test_arenas_are_let_go(tmp_path: Path) -> None:
    def held() -> tuple[int, int]:
        return len(os.listdir("/proc/self/fd")), Path("/proc/self/maps").read_text().count(str(tmp_path))

    before = held()
    for n in range(50):
        scope = HostScope(f"arena-{n % 3}", path=tmp_path, capacity=1 << 20)
        objects = [TokenBucket("5/s", scope=scope, name=name) for name in ("a", "b")]
        permit = ConcurrencyLimiter(2, scope=scope, name="c").acquire()
        assert held() > before
        permit.release()
        del objects, permit
        gc.collect()
    assert held() == before
