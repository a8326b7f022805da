"""BoundedQueue: threads and event loops at once, cancellation, close and drain, and what it says to wrong arguments."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import math
import os
import signal
import threading
import weakref
from datetime import timedelta

import pytest
from conftest import Thread, run, wait_until
from tidegate import (
    BoundedQueue,
    ConfigError,
    Deadline,
    ManualClock,
    QueueClosedError,
    QueueEmptyError,
    QueueFullError,
)


def test_watermarks_and_order() -> None:
    queue = BoundedQueue(10)
    assert [queue.try_push(n) for n in range(9)] == [True] * 8 + [False]
    assert (queue.depth, len(queue), queue.capacity, queue.is_accepting) == (8, 8, 10, False)
    assert [queue.try_pop() for _ in range(4)] == [0, 1, 2, 3]
    assert queue.depth == 4 and queue.is_accepting, "below half it opens again"
    assert [queue.try_pop() for _ in range(4)] == [4, 5, 6, 7]
    assert queue.is_accepting and queue.try_pop() is None and queue.try_pop("none") == "none"
    stats = queue.stats()
    assert (stats.pushed, stats.popped, stats.rejected, stats.dropped) == (8, 8, 1, 0)
    assert bool(queue), "an empty queue is still a queue"


def test_none_is_an_item() -> None:
    queue = BoundedQueue(2, high_watermark=1.0)
    queue.push(None)
    assert queue.pop(timeout=0) is None
    with pytest.raises(QueueEmptyError):
        queue.pop(timeout=0)


def test_drop_oldest_hands_back() -> None:
    dropped: list[tuple[int, str]] = []
    queue = BoundedQueue(3, on_full="drop_oldest", on_drop=lambda item, reason: dropped.append((item, reason)))
    assert all(queue.try_push(n) for n in range(5))
    assert dropped == [(0, "oldest"), (1, "oldest")] and queue.drain() == [2, 3, 4] and queue.stats().dropped == 2


def test_sojourn(clock: ManualClock) -> None:
    queue = BoundedQueue(3, sojourn=True, clock=clock)
    queue.try_push("a")
    clock.advance(0.25)
    assert queue.try_pop_timed() == ("a", 0.25)
    assert queue.try_pop_timed() is None


def test_close_and_drain() -> None:
    queue = BoundedQueue(10)
    queue.try_push("a")
    queue.try_push("b")
    queue.close()
    assert queue.is_closed and not queue.is_accepting
    for push in (queue.try_push, queue.push, lambda item: run(queue.push_async(item))):
        with pytest.raises(QueueClosedError):
            push("c")
    assert queue.try_pop() == "a" and queue.drain() == ["b"]
    for pop in (queue.try_pop, queue.pop, queue.try_pop_timed, lambda: run(queue.pop_async())):
        with pytest.raises(QueueClosedError):
            pop()


def test_timeouts() -> None:
    queue = BoundedQueue(1, retry_after=2.5)
    with pytest.raises(QueueEmptyError):
        queue.pop(timeout=0.01)
    with pytest.raises(QueueEmptyError):
        run(queue.pop_async(timeout=0.01))
    queue.push("a")
    for push in (lambda: queue.push("b", timeout=0.01), lambda: run(queue.push_async("b", timeout=0.01))):
        with pytest.raises(QueueFullError) as caught:
            push()
        assert caught.value.retry_after == 2.5
        assert str(caught.value) == "queue refused an item with 1 of 1 places taken: try again in 2.5 s"
    assert queue.drain() == ["a"], "a push that timed out put nothing in"


def test_threads_wake_threads() -> None:
    queue = BoundedQueue(1)
    popper = Thread(queue.pop)
    queue.push("a")
    assert popper.finish() == "a"
    queue.push("b")
    pusher = Thread(lambda: queue.push("c"))
    assert queue.pop() == "b"
    pusher.finish()
    assert queue.pop() == "c"


def test_close_wakes_everybody() -> None:
    queue: BoundedQueue[int] = BoundedQueue(1)
    poppers = [Thread(queue.pop) for _ in range(2)] + [Thread(lambda: run(queue.pop_async()))]
    queue.close()
    for popper in poppers:
        with pytest.raises(QueueClosedError):
            popper.finish()


def test_threads_and_two_loops_share_one_queue_and_lose_nothing() -> None:
    queue: BoundedQueue[int] = BoundedQueue(8)
    each = 300

    def produce(start: int) -> None:
        for n in range(start, start + each):
            queue.push(n)

    async def produce_async(start: int) -> None:
        for n in range(start, start + each):
            await queue.push_async(n)

    def consume() -> list[int]:
        got = []
        while True:
            try:
                got.append(queue.pop())
            except QueueClosedError:
                return got

    async def consume_async() -> list[int]:
        async def one() -> list[int]:
            return [item async for item in queue]

        return sum(await asyncio.gather(one(), one()), [])

    consumers = [Thread(consume), Thread(lambda: run(consume_async())), Thread(lambda: run(consume_async()))]
    producers = [
        Thread(lambda: produce(0)),
        Thread(lambda: run(produce_async(each))),
        Thread(lambda: run(produce_async(2 * each))),
    ]
    for producer in producers:
        producer.finish()
    queue.close()
    got = sum((consumer.finish() for consumer in consumers), [])
    assert sorted(got) == list(range(3 * each))


def test_cancelled_pops_take_nothing_with_them() -> None:
    queue: BoundedQueue[int] = BoundedQueue(1000, high_watermark=1.0)
    total = 500

    async def scene() -> list[int]:
        got: list[int] = []

        async def pop_some() -> None:
            while True:
                got.append(await queue.pop_async())

        async def cancel_often() -> None:
            while len(got) < total:
                task = asyncio.create_task(pop_some())
                for _ in range(3):
                    await asyncio.sleep(0)
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

        pusher = Thread(lambda: [queue.push(n) for n in range(total)])
        await cancel_often()
        pusher.finish()
        return got

    assert run(scene()) == list(range(total))


def test_a_cancelled_waiter_passes_its_wake_up_on() -> None:
    queue: BoundedQueue[str] = BoundedQueue(4)

    async def scene() -> None:
        first = asyncio.create_task(queue.pop_async())
        second = asyncio.create_task(queue.pop_async())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        # The push wakes the first, which is cancelled before it can run: the second must get the item.
        queue.try_push("a")
        first.cancel()
        assert await second == "a"
        with pytest.raises(asyncio.CancelledError):
            await first

    run(scene())


def test_a_waiter_of_a_closed_loop_passes_its_wake_up_on(loop: asyncio.AbstractEventLoop) -> None:
    queue: BoundedQueue[str] = BoundedQueue(4)
    task = loop.create_task(queue.pop_async())
    loop.run_until_complete(asyncio.sleep(0))
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    popper = Thread(queue.pop)
    queue.push("a")
    assert popper.finish() == "a"
    task._log_destroy_pending = False  # type: ignore[attr-defined]


def test_an_abandoned_waiter_is_collected_with_its_queue() -> None:
    def abandon() -> weakref.ref[BoundedQueue[str]]:
        queue: BoundedQueue[str] = BoundedQueue(4)
        with contextlib.closing(asyncio.new_event_loop()) as loop:
            task = loop.create_task(queue.pop_async())
            loop.run_until_complete(asyncio.sleep(0))
            loop.run_until_complete(asyncio.sleep(0))
            task._log_destroy_pending = False  # type: ignore[attr-defined]
        return weakref.ref(queue)

    alive = abandon()
    gc.collect()
    assert alive() is None, "the queue, the task and the future form a cycle that must not pass through native code"


@pytest.mark.skipif(os.name != "posix", reason="sends a POSIX signal")
def test_ctrl_c_ends_a_blocking_pop(ctrl_c: None) -> None:
    queue: BoundedQueue[str] = BoundedQueue(4)
    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        queue.pop()
    queue.push("a")
    assert queue.pop() == "a", "the interrupted waiter swallowed nothing"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_child_has_a_copy_of_its_own() -> None:
    queue: BoundedQueue[str] = BoundedQueue(4)
    popper = Thread(queue.pop)
    wait_until(lambda: popper.is_alive())
    child = os.fork()
    if child == 0:
        # The parent's waiter does not exist here and must not swallow a wake-up.
        queue.push("child")
        os._exit(0 if queue.pop(timeout=5) == "child" else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    queue.push("parent")
    assert popper.finish() == "parent"


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: BoundedQueue(0), ConfigError, "capacity: "),
        (lambda: BoundedQueue(-1), ConfigError, "capacity: -1 is not within 1 to 16777216"),
        (lambda: BoundedQueue(2**24 + 1), ConfigError, "capacity: "),
        (lambda: BoundedQueue(10**5000), ConfigError, "capacity: .*more than 40 digits"),
        (lambda: BoundedQueue(1.5), TypeError, "capacity: expected a whole number, 1 to 16777216, got float"),
        (lambda: BoundedQueue(True), TypeError, "capacity: expected a whole number, 1 to 16777216, got bool"),
        (lambda: BoundedQueue("5"), TypeError, "capacity: expected a whole number, 1 to 16777216, got str"),
        (lambda: BoundedQueue(5, high_watermark=0), ConfigError, "watermark"),
        (lambda: BoundedQueue(5, high_watermark=80), ConfigError, "high_watermark: "),
        (lambda: BoundedQueue(5, high_watermark=math.nan), ConfigError, "high_watermark: "),
        (lambda: BoundedQueue(5, high_watermark=0.5, low_watermark=0.5), ConfigError, "low_watermark: "),
        (lambda: BoundedQueue(5, low_watermark=-1), ConfigError, "low_watermark: "),
        (lambda: BoundedQueue(5, low_watermark="low"), TypeError, "low_watermark: expected a number, 0 to 1, got str"),
        (lambda: BoundedQueue(5, on_full="explode"), ConfigError, 'on_full: "explode" is not "reject" or'),
        (lambda: BoundedQueue(5, on_full=1), TypeError, "on_full: expected"),
        (lambda: BoundedQueue(5, discipline="lifo"), ConfigError, 'discipline: "lifo" is not "fifo", "codel" or'),
        (lambda: BoundedQueue(5, lanes=9), ConfigError, "lanes: 9 is not within 1 to 8"),
        (lambda: BoundedQueue(5, max_age=0), ConfigError, "max_age: 0 s is not within"),
        (lambda: BoundedQueue(5, target=0.1), ConfigError, "target: 0.1 s is not below interval of 0.1 s"),
        (lambda: BoundedQueue(5).try_push(1, lane=1), ConfigError, "lane: "),
        (lambda: BoundedQueue(5).push(1, lane=-1), ConfigError, "lane: "),
        (lambda: BoundedQueue(5).try_push(1, lane="high"), TypeError, "lane: expected an int"),
        (lambda: BoundedQueue(5).try_push(1, deadline=-1), ConfigError, "deadline: must be 0 or more"),
        (lambda: BoundedQueue(5).push(1, deadline="1"), TypeError, "deadline: expected seconds"),
        (lambda: BoundedQueue(5, on_full="drop_oldest", on_drop=5), TypeError, "on_drop: expected a function"),
        (
            lambda: BoundedQueue(5, on_full="drop_oldest", on_drop=asyncio.sleep),
            TypeError,
            "on_drop: expected a function that is not async",
        ),
        (lambda: BoundedQueue(5, retry_after=-1), ConfigError, "retry_after: must be 0 or more"),
        (lambda: BoundedQueue(5).push(1, timeout=-1), ConfigError, "timeout: must be 0 or more"),
        (lambda: BoundedQueue(5).pop(timeout="1"), TypeError, "timeout: expected seconds"),
        (lambda: run(BoundedQueue(5).pop_async(timeout=math.nan)), ConfigError, "timeout: must be 0 or more"),
    ],
)
def test_wrong_arguments_say_what_would_do(make, error, message) -> None:
    with pytest.raises(error, match=message):
        make()


def test_subclass_generic_alias_and_repr() -> None:
    class Orders(BoundedQueue[dict]):
        pass

    orders = Orders(5)
    orders.push({})
    assert repr(orders) == "Orders(5, depth=1, accepting=True)"
    assert BoundedQueue[int](5).capacity == 5


def test_a_refused_push_is_one_rejection() -> None:
    queue = BoundedQueue(2, high_watermark=1.0)
    assert queue.try_push(1) and queue.try_push(2)
    refused = 0
    for timeout in (0, 0.01):
        for push in (queue.push, lambda item, timeout: run(queue.push_async(item, timeout))):
            with pytest.raises(QueueFullError):
                push(3, timeout)
            refused += 1
            assert queue.stats().rejected == refused
    queue.close()
    with pytest.raises(QueueClosedError):
        queue.push(3)
    assert queue.stats().rejected == refused + 1


@pytest.mark.parametrize("lanes", [1, 2])
def test_what_on_drop_raises_ends_no_pop_and_loses_nothing(clock: ManualClock, lanes: int, monkeypatch) -> None:
    unraisable: list[str] = []
    monkeypatch.setattr("sys.unraisablehook", lambda it: unraisable.append(str(it.exc_value)))
    seen: list[tuple[str, str]] = []

    def on_drop(item: str, reason: str) -> None:
        seen.append((item, reason))
        raise RuntimeError(f"lost {item}")

    queue = BoundedQueue(8, lanes=lanes, max_age=0.01, on_drop=on_drop, clock=clock)
    queue.push("a")
    queue.push("b", deadline=0.001)
    clock.advance(0.011)
    queue.push("c")
    assert queue.pop(timeout=0) == "c"
    assert seen == [("a", "age"), ("b", "deadline")] and unraisable == ["lost a", "lost b"]
    stats = queue.stats()
    assert (stats.pushed, stats.popped, stats.dropped, stats.depth) == (3, 1, 2, 0)
    queue.push("d")
    assert queue.discard() == 1 and seen[-1] == ("d", "closed")


def test_on_drop_may_use_the_queue(clock: ManualClock) -> None:
    queue: BoundedQueue[str] = BoundedQueue(
        8, max_age=0.01, on_drop=lambda item, reason: queue.push(item.upper()), clock=clock
    )
    queue.push("a")
    queue.push("b")
    clock.advance(0.011)
    assert [queue.try_pop(), queue.try_pop(), queue.try_pop()] == ["A", "B", None]


def test_lanes_and_deadlines_in_threads_and_tasks(clock: ManualClock) -> None:
    dropped: list[tuple[str, str]] = []
    queue: BoundedQueue[str] = BoundedQueue(
        4, high_watermark=1.0, lanes=3, on_drop=lambda *drop: dropped.append(drop), clock=clock
    )
    queue.push("batch", lane=2)
    run(queue.push_async("live", lane=0))
    queue.push("late", lane=0, deadline=Deadline.after(0.5, clock=clock))
    assert queue.try_push("ever", lane=1, deadline=math.inf)
    clock.advance(0.6)
    assert [queue.pop() for _ in range(3)] == ["live", "ever", "batch"]
    assert dropped == [("late", "deadline")]
    assert queue.try_push("delta", deadline=timedelta(milliseconds=500)) and queue.try_pop() == "delta"


def test_a_loop_is_called_once_for_all_that_wait_in_it() -> None:
    """A call into a loop is a system call: one for each item made a busy loop's producers pay for every one."""
    queue: BoundedQueue[int] = BoundedQueue(100, high_watermark=1.0)

    async def scene() -> tuple[list[int], int]:
        loop, calls = asyncio.get_running_loop(), 0
        call = loop.call_soon_threadsafe

        def counted(*args, **kwargs):
            nonlocal calls
            calls += 1
            return call(*args, **kwargs)

        loop.call_soon_threadsafe = counted  # type: ignore[method-assign]
        pops = [asyncio.ensure_future(queue.pop_async()) for _ in range(50)]
        await asyncio.sleep(0)
        # The loop stands while the thread pushes.
        Thread(lambda: [queue.push(n) for n in range(50)]).finish()
        return sorted(await asyncio.gather(*pops)), calls

    assert run(scene()) == (list(range(50)), 1)


def test_readings_for_a_load_shedder() -> None:
    clock = ManualClock(1_000_000_000)
    queue = BoundedQueue(4, high_watermark=1.0, discipline="codel", clock=clock)
    for item in range(3):
        queue.push(item)
    assert (queue.fill, queue.least_delay, queue.is_overloaded) == (0.75, None, False)
    clock.advance(0.007)
    queue.pop(), queue.pop()
    assert (queue.fill, queue.least_delay, queue.is_overloaded) == (0.25, 0.007, True)
    assert (queue.stats().least_delay, queue.stats().overloaded) == (0.007, True)
