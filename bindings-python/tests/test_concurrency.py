"""ConcurrencyLimiter: permits, waiting, cancelling, giving back. Other processes are in test_processes.py."""

from __future__ import annotations

import asyncio
import gc
import math
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from datetime import timedelta
from typing import Any

import pytest
from conftest import Thread, run, wait_until
from served import ask, served, statuses
from tidegate import (
    ConcurrencyLimiter,
    ConcurrencyLimitError,
    ConcurrencyPermit,
    ConcurrencyStats,
    ConfigError,
    _parking,
)
from tidegate.asgi import TidegateMiddleware


@pytest.fixture(params=["private", "process", "host"])
def place(request: pytest.FixtureRequest, host: str) -> dict[str, str]:
    """A limiter stands in memory of its own, in an arena of the process, in one of the machine."""
    if request.param == "private":
        return {"scope": "process"}
    return {"scope": host.replace("host", request.param), "name": "database"}


def test_permits_up_to_the_limit(place: Any) -> None:
    limiter = ConcurrencyLimiter(2, **place)
    first, second = limiter.try_acquire(), limiter.try_acquire()
    assert first is not None and second is not None and limiter.try_acquire() is None
    assert (limiter.in_use, limiter.limit) == (2, 2)
    assert first.release() and not first.release()
    assert limiter.in_use == 1
    with limiter.acquire() as third:
        assert isinstance(third, ConcurrencyPermit) and limiter.in_use == 2
        with pytest.raises(
            ConcurrencyLimitError, match=r"^concurrency limiter.* \(2 at once\) refused a call: try again in 1 s$"
        ) as error:
            limiter.acquire()
        assert error.value.retry_after == 1
    assert second.release() and limiter.in_use == 0
    assert limiter.stats() == limiter.stats() and repr(third) == "ConcurrencyPermit(released=True)"
    stats = limiter.stats()
    assert (stats.admitted, stats.denied, stats.would_deny, stats.reclaimed) == (3, 2, 0, 0)
    assert repr(limiter).startswith("ConcurrencyLimiter(2, max_wait=0.0") and isinstance(stats, ConcurrencyStats)


def test_a_permit_leaves_by_any_way_out(place: Any) -> None:
    limiter = ConcurrencyLimiter(1, **place)
    with pytest.raises(KeyError), limiter.acquire():
        raise KeyError
    with limiter.acquire() as permit:
        permit.release()
        assert limiter.in_use == 0

    async def scene() -> None:
        async with await limiter.acquire_async() as permit:
            assert limiter.in_use == 1 and permit.release()
        with pytest.raises(KeyError):
            async with await limiter.acquire_async():
                raise KeyError
        with await limiter.acquire_async():
            assert limiter.in_use == 1

    run(scene())
    assert limiter.in_use == 0 and limiter.stats().denied == 0


def test_a_dropped_permit_comes_back_with_a_warning(place: Any) -> None:
    limiter = ConcurrencyLimiter(1, **place)
    permit = limiter.try_acquire()
    with pytest.warns(ResourceWarning, match="dropped without release"):
        del permit
        gc.collect()
    assert limiter.in_use == 0
    permit = limiter.try_acquire()
    assert permit is not None and permit.release()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        del permit
    # On the way out of an exception the exception stays what it is.
    with pytest.warns(ResourceWarning), pytest.raises(ZeroDivisionError):
        _drop_and_raise(limiter)
    assert limiter.in_use == 0


def _drop_and_raise(limiter: ConcurrencyLimiter) -> None:
    held = limiter.try_acquire()
    assert held is not None
    raise ZeroDivisionError


def test_set_limit(place: Any) -> None:
    limiter = ConcurrencyLimiter(1, max_limit=3, **place)
    held = [limiter.try_acquire()]
    assert limiter.try_acquire() is None
    limiter.set_limit(3)
    held += [limiter.try_acquire(), limiter.try_acquire()]
    assert all(held) and limiter.limit == limiter.in_use == 3
    limiter.set_limit(1)
    for permit in held[:2]:
        assert permit is not None and permit.release()
    assert limiter.in_use == 1 and limiter.try_acquire() is None
    assert held[2] is not None and held[2].release()
    with limiter.acquire():
        pass
    with pytest.raises(ConfigError, match="limit: "):
        limiter.set_limit(4)


def test_wrong_arguments_say_what_would_do() -> None:
    for limit in (0, 5_000, -1):
        with pytest.raises(ConfigError, match="limit: "):
            ConcurrencyLimiter(limit)
    with pytest.raises(ConfigError, match="limit: "):
        ConcurrencyLimiter(5, max_limit=4)
    for wrong in ("5", 1.5, True):
        with pytest.raises(TypeError, match="limit: expected a whole number, 1 to 4096"):
            ConcurrencyLimiter(wrong)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="max_wait: must be 0 or more"):
        ConcurrencyLimiter(1, -1)
    with pytest.raises(TypeError, match="max_wait: expected seconds"):
        ConcurrencyLimiter(1, "1")  # type: ignore[arg-type]
    limiter = ConcurrencyLimiter(1, max_wait=timedelta(seconds=1.5))
    assert limiter.max_wait == 1.5 and limiter.name is None
    assert ConcurrencyLimiter(1, None).max_wait == ConcurrencyLimiter(1, math.inf).max_wait == math.inf
    with pytest.raises(ConfigError, match="timeout: must be 0 or more"):
        limiter.acquire(timeout=-1)
    with pytest.raises(TypeError, match="timeout: expected seconds"):
        limiter.acquire(timeout="1")  # type: ignore[arg-type]
    assert limiter.in_use == 0


def test_off_and_only_watching(monkeypatch: pytest.MonkeyPatch) -> None:
    watching = ConcurrencyLimiter(1, dry_run=True)
    held = [watching.try_acquire() for _ in range(3)]
    with watching.acquire():
        pass
    assert all(held) and (watching.stats().admitted, watching.stats().would_deny) == (1, 3)
    off = ConcurrencyLimiter(1, enabled=False)
    assert all(off.try_acquire() for _ in range(3)) and off.in_use == 0
    monkeypatch.setenv("TIDEGATE_DISABLED", "1")
    by_environment = ConcurrencyLimiter(1)
    assert all(by_environment.try_acquire() for _ in range(3))
    assert held[0] is not None and held[0].release()


@pytest.mark.parametrize("kind", ["fifo", "lifo"])
def test_threads_wait_in_line(place: Any, kind: Any) -> None:
    limiter = ConcurrencyLimiter(1, max_wait=30, order=kind, **place)
    held, order = limiter.acquire(), []
    threads = []
    for number in range(4):
        before = limiter_waiting(limiter)

        def work(number: int = number) -> None:
            with limiter.acquire():
                order.append(number)

        threads.append(Thread(work))
        # Each takes its place before the next begins.
        wait_until(lambda before=before: limiter_waiting(limiter) > before)  # type: ignore[misc]
    held.release()
    for thread in threads:
        thread.finish()
    assert order == ([0, 1, 2, 3] if kind == "fifo" else [3, 2, 1, 0]) and limiter.in_use == 0
    assert limiter.stats().denied == 0 and limiter.stats().admitted == 5


def limiter_waiting(limiter: ConcurrencyLimiter) -> int:
    """Threads that have taken their place in the line and wait."""
    stacks = [stack_of(thread) for thread in threading.enumerate()]
    return sum("acquire_permit" in stack and "wait" in stack[: stack.index("acquire_permit")] for stack in stacks)


def stack_of(thread: threading.Thread) -> list[str]:
    frame, names = sys._current_frames().get(thread.ident or 0), []
    while frame is not None:
        names.append(frame.f_code.co_name)
        frame = frame.f_back
    return names


def test_tasks_wait_first_come_first_served() -> None:
    limiter, order = ConcurrencyLimiter(1, max_wait=None), []

    async def work(number: int) -> None:
        async with await limiter.acquire_async():
            order.append(number)
            await asyncio.sleep(0)

    async def scene() -> None:
        await asyncio.gather(*(work(number) for number in range(50)))

    run(scene())
    assert order == list(range(50)) and limiter.in_use == 0 and limiter.stats().admitted == 50


def test_the_newest_come_first_and_the_oldest_time_out(place: Any) -> None:
    limiter = ConcurrencyLimiter(1, order="lifo", **place)

    async def scene() -> None:
        held = await limiter.acquire_async()
        oldest = asyncio.create_task(limiter.acquire_async(0.05))
        await asyncio.sleep(0)
        waiting = [asyncio.create_task(limiter.acquire_async(None)) for _ in range(2)]
        with pytest.raises(ConcurrencyLimitError):
            await oldest
        held.release()
        (await waiting[1]).release()
        (await waiting[0]).release()

    run(scene())
    stats = limiter.stats()
    assert (stats.admitted, stats.timed_out, stats.waiting, limiter.in_use) == (3, 1, 0, 0)
    assert ConcurrencyLimiter.adaptive(order="lifo").acquire().release()
    with pytest.raises(ConfigError, match="^order: "):
        ConcurrencyLimiter(1, order="random")  # type: ignore[arg-type]


def test_only_so_many_wait(place: Any) -> None:
    limiter = ConcurrencyLimiter(1, max_wait=30, max_waiting=2, **place)
    held = limiter.acquire()

    async def main() -> None:
        first, second = [asyncio.create_task(limiter.acquire_async()) for _ in "12"]
        await asyncio.sleep(0)
        with pytest.raises(ConcurrencyLimitError, match=r"\(1 at once\) refused a call: try again in 1 s$"):
            await limiter.acquire_async(timeout=None)
        thread = Thread(lambda: pytest.raises(ConcurrencyLimitError, limiter.acquire))
        await asyncio.to_thread(thread.finish)
        stats = limiter.stats()
        assert (stats.waiting, stats.refused, stats.timed_out, stats.denied) == (2, 2, 0, 2)
        # Cancelled, it has left its place.
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        third = asyncio.create_task(limiter.acquire_async())
        await asyncio.sleep(0)
        assert limiter.stats().waiting == 2
        held.release()
        for waits in (second, third):
            (await waits).release()

    run(main())
    assert (limiter.in_use, limiter.stats().refused, limiter.stats().cancelled) == (0, 2, 1)
    adaptive = ConcurrencyLimiter.adaptive(max_limit=1, max_wait=None, max_waiting=1)
    assert adaptive.acquire().release()
    with pytest.raises(ConfigError, match="^max_waiting: "):
        ConcurrencyLimiter.adaptive(max_waiting=0)


def test_waiting_in_vain(place: Any) -> None:
    limiter = ConcurrencyLimiter(1, max_wait=0.05, **place)
    with limiter.acquire():
        for timeout in ((), (0,), (0.02,), (timedelta(milliseconds=10),)):
            with pytest.raises(ConcurrencyLimitError):
                limiter.acquire(*timeout)

        async def scene() -> None:
            for timeout in ((), (0,), (0.02,)):
                with pytest.raises(ConcurrencyLimitError):
                    await limiter.acquire_async(*timeout)

        run(scene())
    assert limiter.stats().denied == 7 and limiter.in_use == 0


def test_stats_tell_how_threads_waited(place: Any) -> None:
    limiter = ConcurrencyLimiter(1, max_wait=None, **place)
    held = limiter.acquire()
    assert limiter.try_acquire() is None
    for timeout in (0, 0.02, 0.03):
        with pytest.raises(ConcurrencyLimitError):
            limiter.acquire(timeout)
    threads = [Thread(lambda: limiter.acquire().release()) for _ in range(3)]
    wait_until(lambda: limiter.stats().waiting == 3)
    known = limiter.stats().longest_wait
    assert known >= 0.03
    # It grows with those who wait still.
    wait_until(lambda: limiter.stats().longest_wait > known)
    held.release()
    for thread in threads:
        thread.finish()
    stats = limiter.stats()
    assert (stats.refused, stats.timed_out, stats.cancelled, stats.denied) == (2, 2, 0, 4)
    assert (stats.waiting, stats.admitted) == (0, 4) and stats.longest_wait >= known


@pytest.mark.parametrize("kind", [_parking.Parked, _parking.Suspended])
def test_a_timeout_begins_where_the_wait_is_counted(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    limiter = ConcurrencyLimiter(1)
    enter = kind.__enter__

    def late(waiter: Any) -> Any:
        time.sleep(0.02)
        return enter(waiter)

    monkeypatch.setattr(kind, "__enter__", late)
    with limiter.acquire(), pytest.raises(ConcurrencyLimitError):
        limiter.acquire(0.03) if kind is _parking.Parked else run(limiter.acquire_async(0.03))
    assert limiter.stats().longest_wait >= 0.03


def test_stats_tell_how_tasks_waited(place: Any) -> None:
    limiter = ConcurrencyLimiter(1, max_wait=None, **place)

    async def scene() -> None:
        held = await limiter.acquire_async()
        for timeout in (0, 0.02, 0.03):
            with pytest.raises(ConcurrencyLimitError):
                await limiter.acquire_async(timeout)
        tasks = [asyncio.create_task(limiter.acquire_async()) for _ in range(4)]
        await asyncio.sleep(0)
        assert limiter.stats().waiting == 4 and limiter.stats().cancelled == 0
        for task in tasks[:3]:
            task.cancel()
        await asyncio.gather(*tasks[:3], return_exceptions=True)
        assert limiter.stats().waiting == 1
        held.release()
        (await tasks[3]).release()

    run(scene())
    stats = limiter.stats()
    assert (stats.refused, stats.timed_out, stats.cancelled, stats.denied) == (1, 2, 3, 6)
    assert (stats.waiting, stats.admitted) == (0, 2) and stats.longest_wait >= 0.03


@pytest.mark.parametrize("kind", ["fifo", "lifo"])
def test_a_cancelled_task_passes_its_grant_on(place: Any, kind: Any) -> None:
    limiter = ConcurrencyLimiter(1, max_wait=None, order=kind, **place)

    async def scene() -> None:
        for _ in range(50):
            held = await limiter.acquire_async()
            first, second = (asyncio.create_task(limiter.acquire_async()) for _ in range(2))
            await asyncio.sleep(0)
            if kind == "lifo":
                first, second = second, first
            # The first is granted what is released here, and cancelled before it wakes.
            held.release()
            first.cancel()
            permit = await asyncio.wait_for(second, 30)
            with pytest.raises(asyncio.CancelledError):
                await first
            permit.release()

    run(scene())
    assert limiter.in_use == 0


def test_a_loop_that_is_gone_holds_nobody_up(loop: asyncio.AbstractEventLoop) -> None:
    limiter = ConcurrencyLimiter(1, max_wait=None)
    held = limiter.acquire()
    task = loop.create_task(limiter.acquire_async())
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    thread = Thread(lambda: limiter.acquire(timeout=30).release())
    held.release()
    assert thread.finish() is True and limiter.in_use == 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        del task
        gc.collect()


def test_many_threads_and_loops_never_exceed_the_limit(place: Any) -> None:
    limiter, under_way, most, lock = ConcurrencyLimiter(3, max_wait=None, **place), 0, 0, threading.Lock()

    def enter() -> None:
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)

    def leave() -> None:
        nonlocal under_way
        with lock:
            under_way -= 1

    def in_thread() -> None:
        for _ in range(60):
            with limiter.acquire():
                enter()
                time.sleep(0)
                leave()

    async def one() -> None:
        for _ in range(12):
            with await limiter.acquire_async():
                enter()
                await asyncio.sleep(0)
                leave()

    async def in_loop() -> None:
        await asyncio.gather(*(one() for _ in range(5)))

    threads = [Thread(in_thread) for _ in range(3)] + [Thread(lambda: run(in_loop())) for _ in range(2)]
    for thread in threads:
        thread.finish()
    assert 1 <= most <= 3 and limiter.in_use == 0
    assert limiter.stats().admitted == 5 * 60 and limiter.stats().denied == 0


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_ends_a_wait_and_leaves_no_permit_taken() -> None:
    limiter = ConcurrencyLimiter(1, max_wait=None)
    held = limiter.acquire()
    main = threading.main_thread()
    poke = Thread(lambda: (wait_until(lambda: "acquire_permit" in stack_of(main)), os.kill(os.getpid(), signal.SIGINT)))
    with pytest.raises(KeyboardInterrupt):
        limiter.acquire()
    poke.finish()
    stats = limiter.stats()
    assert (stats.cancelled, stats.denied, stats.waiting) == (1, 1, 0) and stats.longest_wait > 0
    assert held.release() and limiter.in_use == 0
    with limiter.acquire(timeout=0):
        pass


def test_a_decorated_function_runs_under_a_permit() -> None:
    limiter = ConcurrencyLimiter(1)

    @limiter
    def plain(a: int, *, b: int = 2) -> tuple[int, int, int]:
        """Says."""
        return a, b, limiter.in_use

    @limiter
    async def coroutine(a: int) -> tuple[int, int]:
        await asyncio.sleep(0)
        return a, limiter.in_use

    assert plain(1, b=3) == (1, 3, 1) and (plain.__name__, plain.__doc__) == ("plain", "Says.")

    async def scene() -> list[Any]:
        return await asyncio.gather(coroutine(1), coroutine(2), return_exceptions=True)

    first, second = run(scene())
    assert first == (1, 1) and isinstance(second, ConcurrencyLimitError) and limiter.in_use == 0

    def generator() -> Any:
        yield 1

    for wrong, message in ((generator, "a generator runs while"), (int, "got the class int"), (1, "got int")):
        with pytest.raises(TypeError, match=message):
            limiter(wrong)  # type: ignore[type-var]


def test_middleware_answers_503_beyond_the_limit() -> None:
    limiter, inside = ConcurrencyLimiter(2), threading.Event()
    let_go: Any = None

    async def app(scope: Any, receive: Any, send: Any) -> None:
        nonlocal let_go
        if scope["type"] == "lifespan":
            let_go = asyncio.Event()
            while (await receive())["type"] == "lifespan.startup":
                await send({"type": "lifespan.startup.complete"})
            return await send({"type": "lifespan.shutdown.complete"})
        if scope["path"] == "/slow":
            if limiter.in_use == 2:
                inside.set()
            await let_go.wait()
        if scope["path"] == "/fails":
            raise RuntimeError("as an application does")
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    with served(TidegateMiddleware(app, limit="100/hour", concurrency=limiter)) as url:
        slow = [Thread(lambda: ask(url, "/slow")) for _ in range(2)]
        assert inside.wait(30)
        [refused, healthy] = ask(url, "/", "/healthz")
        assert (refused.status, refused.headers["retry-after"], healthy.status) == (503, "1", 200)
        assert refused.json()["type"].endswith("#temporary-reduced-capacity") and "ratelimit" in refused.headers
        let_go._loop.call_soon_threadsafe(let_go.set)
        assert [statuses(thread.finish()) for thread in slow] == [[200], [200]]
        assert statuses(ask(url, "/fails", "/slow")) == [500, 200]
        wait_until(lambda: limiter.in_use == 0)
    with pytest.raises(TypeError, match="concurrency: expected a ConcurrencyLimiter, got int"):
        TidegateMiddleware(app, concurrency=8)  # type: ignore[arg-type]


def test_middleware_waits_as_long_as_the_limiter_says() -> None:
    limiter = ConcurrencyLimiter(1, max_wait=30)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert limiter.in_use == 1
        await asyncio.sleep(0.001)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def scene() -> list[int]:
        middleware, answers = TidegateMiddleware(app, concurrency=limiter), []

        async def send(message: Any) -> None:
            if "status" in message:
                answers.append(message["status"])

        scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
        await asyncio.gather(*(middleware(dict(scope), None, send) for _ in range(20)))  # type: ignore[arg-type]
        return answers

    assert run(scene()) == [200] * 20 and limiter.in_use == 0


def test_a_permit_at_the_interpreter_s_end_is_no_trouble() -> None:
    code = "import tidegate; l = tidegate.ConcurrencyLimiter(1); p = l.try_acquire(); q = [l, p]; q.append(q)"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert done.returncode == 0 and "Traceback" not in done.stderr
