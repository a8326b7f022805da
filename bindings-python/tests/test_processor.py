"""Processor: where each item is, backpressure, retries, dead letters, timeouts and ends, in threads and in tasks."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import gc
import signal
import socket
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import tidegate._tasks
from conftest import PATIENCE, Thread, run, wait_until
from tidegate import (
    ConfigError,
    Deadline,
    Processor,
    ProcessorStats,
    QueueClosedError,
    QueueFullError,
    RetryBudget,
    RetryBudgetExceededError,
    RetryPolicy,
    TimeoutExceededError,
    http,
)


def add_up(stats: ProcessorStats) -> bool:
    ends = stats.done + stats.failed + stats.dead
    return stats.waiting + stats.active + stats.retrying + ends == stats.accepted


def fails(item: Any) -> None:
    raise OSError(item)


async def fails_async(item: Any) -> None:
    raise OSError(item)


class Gate:
    """A handler that runs until it is let go."""

    def __init__(self) -> None:
        self.began: list[Any] = []
        self._open = threading.Event()

    def __call__(self, item: Any) -> Any:
        self.began.append(item)
        assert self._open.wait(PATIENCE)
        return item

    def open(self) -> None:
        self._open.set()


@pytest.fixture
def gate() -> Iterator[Gate]:
    made = Gate()
    yield made
    made.open()


# The ledger


def sampled(processor: Processor[Any], work: Callable[[], Any]) -> None:
    """Runs ``work`` while another thread looks, and looks once more: every snapshot adds up."""
    wrong: list[ProcessorStats] = []
    seen = 0
    stop = threading.Event()

    def look() -> None:
        nonlocal seen
        while not stop.is_set():
            stats = processor.stats()
            seen += 1
            if not add_up(stats) or stats.waiting + stats.retrying + stats.active > 20 + 4:
                wrong.append(stats)

    looker = Thread(look)
    try:
        work()
    finally:
        stop.set()
        looker.finish()
    assert seen > 10 and not wrong, wrong[:3]


@pytest.mark.parametrize("is_async", [False, True])
def test_every_snapshot_adds_up(is_async: bool) -> None:
    letters: list[int] = []
    tried: dict[int, int] = {}

    def step(item: int) -> int:
        tried[item] = tried.get(item, 0) + 1
        if item % 5 == 0 or (item % 7 == 0 and tried[item] == 1):
            raise OSError(item)
        return item

    async def step_async(item: int) -> int:
        await asyncio.sleep(0)
        return step(item)

    def letter(item: int, error: BaseException, attempts: int) -> None:
        assert isinstance(error, OSError) and attempts == 2
        letters.append(item)
        if item % 10 == 0:
            raise ValueError("unwritten")

    retry = RetryPolicy(attempts=2, base=0.001)
    made = Processor[int](step_async if is_async else step, 4, 20, retry, letter)

    async def many_async() -> list[Any]:
        futures = [await made.submit_async(item) for item in range(600)]
        futures[-1].cancel()
        await made.close_async()
        return futures

    def many() -> None:
        futures = run(many_async()) if is_async else [made.submit(item) for item in range(600)]
        made.close()
        stats = made.stats()
        well = sum(future.cancelled() or future.exception() is None for future in futures)
        assert (stats.done, stats.failed, stats.dead) == (well - stats.withdrawn, 60, 60)
        assert stats.accepted + stats.withdrawn == 600 and stats.waiting == stats.active == stats.retrying == 0

    sampled(made, many)
    assert sorted(letters) == list(range(0, 600, 5))


def test_what_is_cancelled_and_given_back_is_counted_apart(gate: Gate) -> None:
    made = Processor[int](gate, workers=1, capacity=5)
    futures = [made.submit(item) for item in range(6)]
    assert made.try_submit(6) is None and not made.is_accepting and made.depth == 5
    assert futures[3].cancel() and futures[3].cancelled() and futures[3] in concurrent.futures.wait(futures, 0).done
    assert not futures[0].cancel()
    # Its room is free at once, though the worker is busy.
    assert made.is_accepting and made.try_submit(7) is not None
    stats = made.stats()
    assert (stats.waiting, stats.active, stats.accepted, stats.withdrawn, stats.rejected) == (5, 1, 6, 1, 1)
    assert made.close("give_back", timeout=0) == [1, 2, 4, 5, 7]
    assert all(future.cancelled() for future in futures[1:]) and gate.began == [0]
    stats = made.stats()
    assert add_up(stats) and (stats.accepted, stats.withdrawn) == (1, 6)
    # The one that was under way was cut at the end of the time.
    with pytest.raises(TimeoutExceededError, match="closed before its handler returned"):
        futures[0].result()


def test_order_and_results() -> None:
    with Processor[int](lambda item: item * 2, workers=1) as made:
        futures = [made.submit(item) for item in range(50)]
        assert [future.result(PATIENCE) for future in futures] == list(range(0, 100, 2))
    assert repr(made) == (
        "Processor(test_order_and_results.<locals>.<lambda>, workers=1, capacity=5000, "
        "waiting=0, active=0, retrying=0, closed)"
    )
    assert made.is_closed and len(made) == 0 and made and made.stats().done == 50


# Room


def test_submit_waits_for_room_in_a_thread(gate: Gate) -> None:
    made = Processor[int](gate, workers=1, capacity=1, retry_after=3)
    made.submit(0), made.submit(1)
    with pytest.raises(QueueFullError, match="processor is full") as full:
        made.submit(2, timeout=0.01)
    assert full.value.retry_after == 3.0
    waits = [Thread(lambda item=item: made.submit(item)) for item in (2, 3)]  # type: ignore[misc]
    gate.open()
    for waiting in waits:
        assert waiting.finish().result(PATIENCE) in (2, 3)
    made.close()
    assert sorted(gate.began) == [0, 1, 2, 3]


def test_a_cancelled_submit_puts_nothing_in() -> None:
    async def main() -> None:
        gate = asyncio.Event()
        began = []

        async def handler(item: int) -> None:
            began.append(item)
            await gate.wait()

        made = Processor[int](handler, workers=1, capacity=1)
        await made.submit_async(0), await made.submit_async(1)
        for end in ("cancelled", "timeout"):
            waiting = asyncio.ensure_future(made.submit_async(2, timeout=None if end == "cancelled" else 0.01))
            await asyncio.sleep(0)
            if end == "cancelled":
                waiting.cancel()
            with pytest.raises((asyncio.CancelledError, QueueFullError)):
                await waiting
        assert made.stats().accepted == 2
        # A room that comes is there for the next.
        gate.set()
        await (await made.submit_async(3, timeout=PATIENCE))
        await made.close_async()
        assert began == [0, 1, 3]

    run(main())


def test_who_waits_for_room_learns_of_the_close(gate: Gate) -> None:
    made = Processor[int](gate, workers=1, capacity=1)
    made.submit(0), made.submit(1)
    waiting = Thread(lambda: made.submit(2))
    wait_until(lambda: made._jobs._in_line == 1)
    assert made.close("give_back", timeout=0) == [1]
    with pytest.raises(QueueClosedError, match="processor is closed"):
        waiting.finish()
    for submit in (made.submit, made.try_submit):
        with pytest.raises(QueueClosedError):
            submit(3)


def test_rooms_are_neither_lost_nor_made_up() -> None:
    """Submitters that give up, cancel and come in time, against workers: at the end there are as many rooms."""
    made = Processor[int](lambda item: time.sleep(0.0001), workers=2, capacity=3)

    def submit(own: int) -> None:
        for item in range(150):
            try:
                future = made.submit(item, timeout=0.0002 * (item % 3))
            except QueueFullError:
                continue
            if item % 4 == own:
                future.cancel()

    for thread in [Thread(lambda own=own: submit(own)) for own in range(4)]:  # type: ignore[misc]
        thread.finish()
    wait_until(lambda: made.stats().active + made.stats().waiting == 0)
    jobs = made._jobs
    assert jobs._free + jobs._rooms.depth == 3 and jobs._owed == 0 and jobs._in_line == 0
    assert add_up(made.stats())


# Retries


def test_a_retry_holds_no_worker_and_keeps_its_place() -> None:
    gates = {name: threading.Event() for name in "ab"}
    tries: list[str] = []

    def handler(item: str) -> str:
        tries.append(item)
        if item == "a" and tries.count("a") == 1:
            raise OSError
        if item == "b":
            assert gates["b"].wait(PATIENCE)
        return item

    made = Processor[str](handler, workers=1, capacity=1, retry=RetryPolicy(base=0.2, jitter="none"))
    first = made.submit("a")
    wait_until(lambda: made.stats().retrying == 1)
    # The only place is taken by what waits for its retry, and the only worker is free.
    assert made.stats().active == 0 and made.try_submit("c") is None and made.depth == 1
    assert first.result(PATIENCE) == "a" and tries == ["a", "a"] and made.stats().retries == 1
    assert made.submit("c").result(PATIENCE) == "c"
    made.close()


def test_places_owed_are_given_back_first(gate: Gate) -> None:
    """An attempt fails while others have all places: for a while there is one more, and none to submit to."""
    calls: list[int] = []

    def handler(item: int) -> int:
        calls.append(item)
        if item == 0 and calls.count(0) == 1:
            gate(item)
            raise OSError
        if item != 0:
            hold.wait(PATIENCE)
        return item

    hold = threading.Event()
    made = Processor[int](handler, workers=1, capacity=1, retry=RetryPolicy(base=0.001))
    first = made.submit(0)
    second = made.submit(1)
    gate.open()
    wait_until(lambda: 1 in calls)
    # One is active, one waits for its retry or its turn, none more.
    assert made.try_submit(2) is None and add_up(made.stats())
    hold.set()
    assert (first.result(PATIENCE), second.result(PATIENCE)) == (0, 1)
    made.close()
    assert made._jobs._owed == 0


def test_an_empty_budget_and_mistakes_go_to_the_dead_letter() -> None:
    letters: list[tuple[Any, type, int]] = []
    retry = RetryPolicy(attempts=5, base=0, budget=RetryBudget(ratio=0, min_per_second=0))

    def keep(item: int, error: BaseException, attempts: int) -> None:
        letters.append((item, type(error), attempts))

    with Processor[int](fails, retry=retry, dead_letter=keep) as made:
        error = made.submit(1).exception(PATIENCE)
    assert isinstance(error, RetryBudgetExceededError) and isinstance(error.__cause__, OSError)
    assert letters == [(1, RetryBudgetExceededError, 1)]
    mistaken = Processor[Any](lambda item: item + 1, retry=RetryPolicy(attempts=5, base=0))
    assert isinstance(mistaken.submit("a").exception(PATIENCE), TypeError) and mistaken.stats().retries == 0
    # What `retry_on` raises is the item's error.
    broken = Processor[Any](fails, retry=RetryPolicy(retry_on=lambda error: 1 / 0))
    assert isinstance(broken.submit(1).exception(PATIENCE), ZeroDivisionError)
    for one in (mistaken, broken):
        one.close()


@pytest.mark.parametrize("is_async", [False, True])
def test_a_handler_that_has_the_same_budget_pays_nothing(is_async: bool) -> None:
    budget = RetryBudget(ratio=1, min_per_second=100, ttl=60)
    retry = RetryPolicy(attempts=3, base=0, max_delay=0, budget=budget)

    def flaky(ends: list[int]) -> int:
        if ends:
            raise OSError(ends.pop())
        return 1

    async def flaky_async(ends: list[int]) -> int:
        return flaky(ends)

    async def handle_async(item: int) -> int:
        return await retry.call_async(flaky_async, [1] * item)

    def handle(item: int) -> int:
        return retry.call(flaky, [1] * item)

    async def main() -> None:
        async with Processor[int](handle_async, retry=retry) as made:
            for _ in range(2):
                assert await (await made.submit_async(2)) == 1

    if is_async:
        run(main())
    else:
        with Processor[int](handle, retry=retry) as made:
            for _ in range(2):
                assert made.submit(2).result(PATIENCE) == 1
    assert budget.stats().deposited == 2
    retry.call(flaky, [])
    assert budget.stats().deposited == 3


@pytest.mark.parametrize("is_async", [False, True])
def test_a_result_that_a_classifier_calls_failed_is_tried_again(is_async: bool) -> None:
    class Answer:
        def __init__(self, status: int) -> None:
            self.status_code, self.headers, self.closed = status, {}, False

        def close(self) -> None:
            self.closed = True

    answers = [Answer(503), Answer(503), Answer(200)]
    left = iter(answers)

    async def ask_async(item: int) -> Answer:
        return next(left)

    retry = RetryPolicy(attempts=3, base=0.001, retry_on=http())
    made = Processor[int](ask_async if is_async else (lambda item: next(left)), retry=retry)

    async def once() -> Any:
        return await (await made.submit_async(1))

    assert run(once()) is answers[2] and [answer.closed for answer in answers] == [True, True, False]
    made.close()
    assert made.stats().retries == 2 and made.stats().done == 1


# Dead letters


@pytest.mark.parametrize("how", ["raises", "hangs", "async", "rejects", "stubborn"])
def test_a_dead_letter_that_fails(how: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(tidegate._tasks, "GRACE", 0.05)
    hold = threading.Event()
    got: list[Any] = []

    def letter(item: int, error: BaseException, attempts: int) -> None:
        got.append((item, type(error), attempts))
        if how == "raises":
            raise ValueError
        if how == "hangs":
            hold.wait(PATIENCE)

    async def letter_async(item: int, error: BaseException, attempts: int) -> None:
        letter(item, error, attempts)
        if how == "rejects":
            raise ValueError
        while how == "stubborn" and not hold.is_set():
            try:
                await asyncio.sleep(0.01)
            except asyncio.CancelledError:
                pass

    async def main() -> None:
        is_async = how in ("async", "rejects", "stubborn")
        made = Processor[int](
            fails_async if is_async else fails, 1, dead_letter=letter_async if is_async else letter, timeout=0.05
        )
        futures = [await made.submit_async(item) for item in (1, 2)]
        for error in await asyncio.gather(*futures, return_exceptions=True):
            assert isinstance(error, OSError)
        stats = made.stats()
        assert add_up(stats) and (stats.dead, stats.failed) == ((2, 0) if how == "async" else (0, 2))
        hold.set()
        assert await made.close_async() == []

    run(main())
    assert got == [(1, OSError, 1), (2, OSError, 1)]
    assert ("dead_letter" in caplog.text) == (how != "async")


# Timeouts


def test_a_thread_that_never_returns_is_left_alone(gate: Gate) -> None:
    def handler(item: int) -> Any:
        assert Deadline.current() is not None
        return gate(item) if item < 2 else item

    made = Processor[int](handler, workers=1, timeout=0.05)
    hung, after = made.submit(0), made.submit(5)
    assert isinstance(hung.exception(PATIENCE), TimeoutExceededError) and after.result(PATIENCE) == 5
    assert made.stats().stuck == 1 and made.stats().timed_out == 1
    # A second one is one more than workers: nothing begins until one returns.
    second = made.submit(1)
    assert isinstance(second.exception(PATIENCE), TimeoutExceededError)
    late = made.submit(6)
    assert made.stats().waiting == 1 and not late.running()
    gate.open()
    assert late.result(PATIENCE) == 6
    wait_until(lambda: made.stats().stuck == 0)
    assert made.close() == [] and add_up(made.stats()) and made.stats().failed == 2


def test_an_attempt_that_was_cut_is_tried_again(gate: Gate) -> None:
    calls: list[int] = []

    def handler(item: int) -> str:
        calls.append(item)
        if len(calls) == 1:
            gate(item)
            raise AssertionError("too late, and nobody's")
        return "well"

    made = Processor[int](handler, workers=2, timeout=0.05, retry=RetryPolicy(base=0.001))
    assert made.submit(0).result(PATIENCE) == "well"
    gate.open()
    wait_until(lambda: made.stats().stuck == 0)
    made.close()
    assert made.stats().done == 1 and made.stats().failed == 0


def test_a_task_is_cancelled_at_its_timeout_or_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tidegate._tasks, "GRACE", 0.05)

    async def main() -> None:
        hold = False

        async def handler(item: str) -> str:
            while item == "stubborn" and not hold:
                try:
                    await asyncio.sleep(0.01)
                except asyncio.CancelledError:
                    pass
            if item == "obeys":
                await asyncio.sleep(PATIENCE)
            return item

        made = Processor[str](handler, workers=1, timeout=0.05)
        futures = [await made.submit_async(item) for item in ("obeys", "stubborn", "well")]
        errors = await asyncio.gather(*futures, return_exceptions=True)
        assert [type(error) for error in errors] == [TimeoutExceededError, TimeoutExceededError, str]
        assert made.stats().stuck == 1 and made.stats().timed_out == 2
        hold = True
        while made.stats().stuck:
            await asyncio.sleep(0)
        assert await made.close_async() == [] and add_up(made.stats())

    run(main())


# Ends


@pytest.mark.parametrize("is_async", [False, True])
def test_close_from_within_a_handler_does_not_wait_for_itself(is_async: bool) -> None:
    given: list[Any] = []
    submitted = threading.Event()

    def handler(item: int) -> int:
        if item == 0:
            assert submitted.wait(PATIENCE)
            given.append(made.close())
        return item

    async def handler_async(item: int) -> int:
        if item == 0:
            given.append(await made.close_async("give_back"))
        return item

    made = Processor[int](handler_async if is_async else handler, workers=1)

    async def main() -> None:
        futures = [await made.submit_async(item) for item in range(3)]
        submitted.set()
        ended = await asyncio.gather(*futures, return_exceptions=True)
        assert await made.close_async() == [] and await made.close_async("give_back") == []
        if is_async:
            assert given == [[1, 2]] and ended[0] == 0 and made.stats().withdrawn == 2
            assert all(isinstance(error, asyncio.CancelledError) for error in ended[1:])
        else:
            assert given == [[]] and ended == [0, 1, 2]

    run(main())


def test_give_back_ends_what_waits_for_a_retry(gate: Gate) -> None:
    letters: list[Any] = []
    retry = RetryPolicy(attempts=9, base=PATIENCE, max_delay=PATIENCE, jitter="none")
    made = Processor[int](
        lambda item: fails(item) if item else gate(item), 1, retry=retry, dead_letter=lambda *of: letters.append(of)
    )
    failed = made.submit(1)
    wait_until(lambda: made.stats().retrying == 1)
    held, behind = made.submit(0), made.submit(2)
    wait_until(lambda: gate.began == [0])
    closing = Thread(lambda: made.close("give_back"))
    wait_until(behind.cancelled)
    assert not held.done()
    gate.open()
    assert closing.finish() == [2] and held.result(PATIENCE) == 0
    assert isinstance(failed.exception(PATIENCE), OSError)
    assert [(item, type(error), attempts) for item, error, attempts in letters] == [(1, OSError, 1)]
    assert add_up(made.stats()) and made.stats().dead == 1


def test_a_close_in_time_gives_back_cuts_and_writes_dead_letters(gate: Gate) -> None:
    letters: list[int] = []
    made = Processor[int](gate, workers=2, dead_letter=lambda item, error, attempts: letters.append(item))
    for item in range(5):
        made.submit(item)
    wait_until(lambda: len(gate.began) == 2)
    assert made.close(timeout=0.05) == [2, 3, 4]
    assert sorted(letters) == [0, 1] and made.stats().dead == 2 and add_up(made.stats())


def test_a_blocking_close_in_the_loop_is_refused() -> None:
    async def main() -> None:
        async with Processor[int](asyncio.sleep) as made:
            await made.submit_async(0)
            with pytest.raises(RuntimeError, match="close_async"):
                made.close()

    run(main())


# What goes wrong in handlers and loops


def test_a_handler_that_cancels_itself() -> None:
    letters: list[type] = []

    async def handler(item: int) -> int:
        if item == 0:
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            await asyncio.sleep(PATIENCE)
        if item == 1:
            raise asyncio.CancelledError
        return item

    async def main() -> None:
        retry = RetryPolicy(attempts=5, base=0)
        made = Processor[int](handler, 1, retry=retry, dead_letter=lambda i, error, n: letters.append(type(error)))
        futures = [await made.submit_async(item) for item in range(3)]
        assert await futures[2] == 2 and futures[0].cancelled() and futures[1].cancelled()
        await made.close_async()
        assert made.stats().dead == 2 and made.stats().retries == 0

    run(main())
    assert letters == [asyncio.CancelledError] * 2


def test_a_loop_that_ends_over_its_items_and_another_that_goes_on() -> None:
    async def handler(item: float) -> float:
        await asyncio.sleep(item)
        return item

    made = Processor[float](handler, workers=2)

    async def leave() -> list[Any]:
        return [await made.submit_async(item) for item in (PATIENCE, PATIENCE, 0.0)]

    began = time.monotonic()
    left = run(leave())
    assert time.monotonic() - began < PATIENCE / 2 and left[0].cancelled() and not left[2].done()
    assert made.stats().waiting == 1 and add_up(made.stats())

    async def go_on() -> float:
        answer: float = await (await made.submit_async(0.001))
        await made.close_async()
        return answer

    assert run(go_on()) == 0.001
    assert made.stats().done == 2 and made.stats().failed == 2 and add_up(made.stats())


def test_a_loop_that_is_closed_over_a_handler(loop: asyncio.AbstractEventLoop) -> None:
    """Nobody cancelled it, and nobody will run it again."""
    made = Processor[float](asyncio.sleep, workers=1)
    future = loop.run_until_complete(made.submit_async(PATIENCE))
    waiting = loop.run_until_complete(made.submit_async(PATIENCE))
    tasks = asyncio.all_tasks(loop)
    loop.close()
    assert made.close("give_back", timeout=5) == [PATIENCE]
    assert not future.done() or future.exception() is not None
    assert made.stats().failed == 1 and add_up(made.stats()) and waiting is not None
    for task in tasks:
        task.get_coro().close()  # type: ignore[union-attr]
        task._log_destroy_pending = False  # type: ignore[attr-defined]


def test_a_thread_submits_to_a_loop() -> None:
    async def handler(item: int) -> int:
        await asyncio.sleep(0)
        return item

    made = Processor[int](handler, workers=2, capacity=3)
    with pytest.raises(RuntimeError, match="no event loop runs here"):
        made.submit(1)

    async def main() -> list[int]:
        async with made:
            work = Thread(lambda: [future.result(PATIENCE) for future in [made.submit(item) for item in range(50)]])
            while work.is_alive():
                await asyncio.sleep(0.001)
            found: list[int] = work.finish()
            return found

    assert run(main()) == list(range(50))
    with pytest.raises(QueueClosedError):
        made.close()
        run(made.submit_async(1))


def test_a_future_of_asyncio_that_is_cancelled_when_its_item_has_begun() -> None:
    async def main() -> None:
        gate = asyncio.Event()

        async def handler(item: int) -> None:
            await gate.wait()

        made = Processor[int](handler, workers=1)
        began, waits = [await made.submit_async(item) for item in range(2)]
        await asyncio.sleep(0)
        assert began.cancel() and waits.cancel()
        assert made.stats().active == 1 and made.stats().withdrawn == 1
        gate.set()
        await made.close_async()
        assert made.stats().done == 1 and add_up(made.stats())

    run(main())


VARIABLE: contextvars.ContextVar[str] = contextvars.ContextVar("test", default="none")


@pytest.mark.parametrize("is_async", [False, True])
def test_workers_see_the_makers_context_and_no_deadline(is_async: bool) -> None:
    def look(item: int) -> tuple[str, Any]:
        return VARIABLE.get(), Deadline.current()

    async def look_async(item: int) -> tuple[str, Any]:
        return look(item)

    VARIABLE.set("made")
    with Deadline.after(0.0):
        made = Processor[int](look_async if is_async else look)

    async def main() -> None:
        VARIABLE.set("submitted")
        with Deadline.after(0.0):
            assert await (await made.submit_async(1)) == ("made", None)
        await made.close_async()

    run(main())


def test_lazy_results_and_stop_iteration_are_the_items_errors() -> None:
    with Processor[Any](lambda item: next(iter(())) if item is None else fails_async(item)) as made:
        assert isinstance(made.submit(1).exception(PATIENCE), TypeError)
        error = made.submit(None).exception(PATIENCE)
    assert isinstance(error, RuntimeError) and isinstance(error.__cause__, StopIteration)


def generator(item: int) -> Iterator[int]:
    yield item


async def letter(item: int, error: BaseException, attempts: int) -> None: ...


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"handler": generator}, TypeError, "a generator runs while it is iterated"),
        ({"handler": int}, TypeError, "got the class int"),
        ({"handler": None}, TypeError, "got NoneType"),
        ({"handler": lambda: 1}, TypeError, "handler: expected a function of the item"),
        ({"workers": 0}, ConfigError, "workers: must be 1 to 10000, got 0"),
        ({"workers": 1.5}, TypeError, "workers: expected an int"),
        ({"capacity": 0}, ConfigError, "capacity"),
        ({"capacity": "9"}, TypeError, "capacity"),
        ({"retry": 3}, TypeError, "retry: expected a RetryPolicy"),
        ({"dead_letter": lambda item: 1}, TypeError, "dead_letter: expected a function"),
        ({"dead_letter": letter}, TypeError, "dead_letter: it is async"),
        ({"timeout": 0}, ConfigError, "timeout: must be more than 0"),
        ({"timeout": "1"}, TypeError, "timeout"),
        ({"retry_after": -1}, ConfigError, "retry_after"),
    ],
)
def test_arguments(arguments: dict[str, Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        Processor(**{"handler": fails, **arguments})
    with pytest.raises(ConfigError, match='drain: must be True or "give_back", got False'):
        Processor(fails).close(False)  # type: ignore[arg-type]


class Kept:
    """An item that can be watched."""


@pytest.mark.parametrize("is_async", [False, True])
def test_what_has_failed_is_not_kept(is_async: bool) -> None:
    """By no cycle of an error, its traceback and the future: those wait for the collector."""
    items: list[weakref.ref[Kept]] = []
    retry = RetryPolicy(attempts=2, base=0)
    made = Processor[Kept](fails_async if is_async else fails, 2, 9, retry, lambda *of: None, timeout=9)

    async def main() -> None:
        for _ in range(20):
            item = Kept()
            items.append(weakref.ref(item))
            future = await made.submit_async(item)
            with pytest.raises(OSError):
                await future
            del item, future
        await made.close_async()

    gc.disable()
    try:
        run(main())
        # A thread lets go of the last one a moment later.
        wait_until(lambda: sum(item() is not None for item in items) <= 1)
    finally:
        gc.enable()


# Processes


def program(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE, check=False)


def test_the_interpreter_ends_with_items_left() -> None:
    ended = program(
        "import logging, threading\n"
        "from tidegate import Processor\n"
        "logging.basicConfig()\n"
        "made = Processor(lambda item: threading.Event().wait(), workers=2, timeout=60)\n"
        "for item in range(5): made.submit(item)\n"
    )
    assert ended.returncode == 0 and "the program ends with 5 items in Processor" in ended.stderr, ended.stderr


def test_a_child_of_fork_has_an_empty_one_that_works() -> None:
    ended = program(
        "import os, threading, warnings\n"
        "warnings.simplefilter('ignore')\n"
        "from tidegate import Processor\n"
        "gate = threading.Event()\n"
        "made = Processor(lambda item: gate.wait(20) and item, workers=1, capacity=3, timeout=30)\n"
        "futures = [made.submit(item) for item in range(1, 5)]\n"
        "child = os.fork()\n"
        "gate.set()\n"
        "if child == 0:\n"
        "    stats = made.stats()\n"
        "    assert stats.accepted == stats.active == stats.waiting == 0, stats\n"
        "    assert made.submit(9).result(20) == 9 and made.close() == []\n"
        "    assert made.stats().done == 1\n"
        "    os._exit(0)\n"
        "assert os.waitpid(child, 0)[1] == 0\n"
        "assert [future.result(20) for future in futures] == [1, 2, 3, 4]\n"
        "made.close()\n"
    )
    assert ended.returncode == 0, ended.stderr


def test_asyncio_is_not_loaded_by_a_processor_of_threads() -> None:
    ended = program(
        "import sys\n"
        "from tidegate import Processor\n"
        "with Processor(print) as made: made.submit('x').result()\n"
        "assert 'asyncio' not in sys.modules\n"
    )
    assert ended.returncode == 0, ended.stderr


SERVER = """
import asyncio, sys
from contextlib import asynccontextmanager
from fastapi import FastAPI
from tidegate import Processor

async def store(item):
    await asyncio.sleep(0.01)
    print("stored", item, flush=True)

made = Processor(store, workers=2, capacity=100)

@asynccontextmanager
async def lifespan(app):
    yield
    print("left", await made.close_async(timeout=20), flush=True)

app = FastAPI(lifespan=lifespan)

@app.post("/{item}")
async def accept(item: int):
    return made.try_submit(item) is not None
"""


def test_a_server_that_is_told_to_end_works_off_what_it_has_accepted(tmp_path: Path) -> None:
    (tmp_path / "server.py").write_text(SERVER)
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        listening.set_inheritable(True)
        port = listening.getsockname()[1]
        command = [sys.executable, "-m", "uvicorn", "server:app", "--fd", str(listening.fileno())]
        server = subprocess.Popen(
            command,
            cwd=tmp_path,
            pass_fds=[listening.fileno()],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    with server:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE) as client:
            assert [client.post(f"/{item}").json() for item in range(60)] == [True] * 60
        server.send_signal(signal.SIGTERM)
        said, _ = server.communicate(timeout=PATIENCE)
    stored = [int(line.split()[1]) for line in said.splitlines() if line.startswith("stored")]
    assert sorted(stored) == list(range(60)) and "left []" in said, said
