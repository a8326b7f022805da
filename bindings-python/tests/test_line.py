"""Many tasks that wait for tokens of one key."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest
from conftest import run
from tidegate import LimitSet, RateLimitedError, RateLimiter
from tidegate import _line


@pytest.fixture(autouse=True)
def no_line_stays() -> Any:
    yield
    assert not _line._lines


def waiting(limits: Any, number: int, served: list[int], **options: Any) -> list[asyncio.Task[None]]:
    async def one(which: int) -> None:
        if isinstance(limits, LimitSet):
            await limits.acquire_async({"user": "ann"}, **options)
        else:
            await limits.acquire_async("ann", **options)
        served.append(which)

    return [asyncio.create_task(one(which)) for which in range(number)]


@pytest.mark.parametrize("kind", ["limiter", "set"])
def test_they_are_served_in_order_and_one_of_them_asks(kind: str) -> None:
    limiter = RateLimiter("50/s", burst=1)
    # Until it is back all of them have come.
    limiter.penalize("ann", 0.2)
    limits: Any = LimitSet(user=limiter) if kind == "set" else limiter
    served: list[int] = []

    async def scene() -> None:
        await asyncio.gather(*waiting(limits, 30, served))

    run(scene())
    assert served == list(range(30))
    # Each is refused once when it comes, and perhaps a few times as the first; all of them at each token would be 450.
    assert limiter.stats().denied <= 150


def test_a_cancelled_first_makes_way_and_a_cancelled_other_leaves() -> None:
    limiter = RateLimiter("20/s", burst=1)
    limiter.acquire("ann")
    served: list[int] = []

    async def scene() -> None:
        tasks = waiting(limiter, 5, served)
        await asyncio.sleep(0)
        for cancelled in (0, 2):
            tasks[cancelled].cancel()
        # One that was woken in the very step in which it is cancelled passes that on.
        await asyncio.sleep(0)
        tasks[1].cancel()
        done = await asyncio.gather(*tasks, return_exceptions=True)
        assert [isinstance(one, asyncio.CancelledError) for one in done] == [True, True, True, False, False]

    run(scene())
    assert served == [3, 4]


def test_who_cannot_be_served_in_time_is_refused_at_its_end() -> None:
    limiter = RateLimiter("10/s", burst=1)
    limiter.acquire("ann")
    served: list[int] = []

    async def scene() -> None:
        with pytest.raises(RateLimitedError):
            await limiter.acquire_async("ann", timeout=0.01)
        loop = asyncio.get_running_loop()
        begun = loop.time()
        done = await asyncio.gather(*waiting(limiter, 20, served, timeout=0.35), return_exceptions=True)
        assert loop.time() - begun < 5
        refused = [one for one in done if isinstance(one, RateLimitedError)]
        assert len(refused) + len(served) == 20 and refused and served
        assert all(0 < one.retry_after <= 0.11 for one in refused)

    run(scene())


def test_other_keys_and_costs_stand_in_no_line_of_it() -> None:
    limiter = RateLimiter("2/hour")

    async def scene() -> None:
        limiter.acquire("ann", 2)
        stuck = [asyncio.create_task(limiter.acquire_async("ann", n)) for n in (2, 1)]
        await asyncio.sleep(0)
        assert len(_line._lines) == 2
        await asyncio.wait_for(limiter.acquire_async("ben", 2), 5)
        for task in stuck:
            task.cancel()
        await asyncio.gather(*stuck, return_exceptions=True)

    run(scene())


def test_a_loop_that_is_closed_over_its_tasks_leaves_nothing(loop: asyncio.AbstractEventLoop) -> None:
    limiter = RateLimiter("1/hour")
    limiter.acquire("ann")
    tasks = [loop.create_task(limiter.acquire_async("ann")) for _ in range(3)]
    loop.run_until_complete(asyncio.sleep(0))
    for task in tasks:
        # What is destroyed while it waits is said in the log otherwise.
        task._log_destroy_pending = False  # type: ignore[attr-defined]
    loop.close()
    del tasks, task
    gc.collect()
    assert not _line._lines
