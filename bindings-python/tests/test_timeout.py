"""Timeout and Deadline: calls that end in time, and whoever is within one and asks for it."""

from __future__ import annotations

import asyncio
import contextvars
import copy
import gc
import math
import pickle
import socket
import time
import urllib.error
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from conftest import Thread, run
from tidegate import (
    CircuitBreaker,
    CircuitOpenError,
    Classifier,
    ClientThrottle,
    ConfigError,
    Deadline,
    ManualClock,
    RetryPolicy,
    TidegateError,
    Timeout,
    TimeoutExceededError,
    http,
)

QUICK: dict[str, Any] = {"base": 0, "max_delay": 0}


async def hang(*args: Any) -> None:
    await asyncio.sleep(3600)


async def moved(clock: ManualClock, seconds: float, work: Any) -> Any:
    """What a coroutine gives that waits for this clock."""
    task = asyncio.ensure_future(work)
    await asyncio.sleep(0)
    clock.advance(seconds)
    return await task


def test_the_error_is_of_both_families() -> None:
    error = TimeoutExceededError("call timed out after 2 s")
    assert isinstance(error, TidegateError) and isinstance(error, TimeoutError) and error.errno is None
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert (type(twin), str(twin), twin.retry_after) == (TimeoutExceededError, "call timed out after 2 s", 0.0)
    assert str(TimeoutExceededError()) == "call timed out" and TimeoutExceededError(retry_after=3).retry_after == 3


def test_it_is_a_failure_of_what_was_called() -> None:
    error = TimeoutExceededError()
    assert Classifier().error(error)[0] == http().error(error)[0] == "failure"
    assert Classifier(ignore=TimeoutExceededError).error(error)[0] == "ignore"
    breaker, throttle = CircuitBreaker("bank", consecutive_failures=3), ClientThrottle()

    def late() -> None:
        raise TimeoutExceededError

    with pytest.raises(TimeoutExceededError) as raised:
        RetryPolicy(**QUICK).call(breaker.call, late)
    assert breaker.state == "open" and raised.value.attempts == 3  # type: ignore[attr-defined]
    with pytest.raises(TimeoutExceededError):
        throttle.call(late)
    assert throttle.stats().refused == 1


def test_an_async_call_is_cancelled(clock: ManualClock) -> None:
    ended: list[str] = []

    async def ask() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            ended.append("cancelled")

    async def main() -> None:
        with pytest.raises(TimeoutExceededError, match="^call timed out after 2 s$") as raised:
            await moved(clock, 2, Timeout(attempt=2, clock=clock).call_async(ask))
        assert isinstance(raised.value.__cause__, asyncio.CancelledError) and ended == ["cancelled"]
        task = asyncio.current_task()
        # Not asked of us: whoever counts the requests to cancel this task finds none.
        assert not hasattr(task, "cancelling") or task.cancelling() == 0
        assert Deadline.current() is None
        await asyncio.sleep(0)

    run(main())


def test_a_call_that_ends_in_time() -> None:
    @Timeout(total=60, attempt=30)
    async def add(one: int, *, two: int) -> int:
        await asyncio.sleep(0)
        return one + two

    assert run(add(1, two=2)) == 3 and asyncio.iscoroutinefunction(add) and add.__name__ == "add"
    timeout = Timeout(timedelta(seconds=60))
    detached = timeout.call
    assert detached(lambda one, *, two: one + two, 1, two=2) == timeout(lambda: 3)() == 3
    with pytest.raises(KeyError):
        run(timeout.call_async(hang_up, KeyError()))
    with pytest.raises(KeyError):
        timeout.call({}.__getitem__, 5)
    assert run(Timeout(math.inf).call_async(asyncio.sleep, 0, 5)) == Timeout(math.inf).call(lambda: 5) == 5


async def hang_up(error: Exception) -> None:
    raise error


def test_the_shorter_of_two_and_of_those_around_counts(clock: ManualClock) -> None:
    def left(*timeouts: Timeout) -> float:
        seen: list[float] = []

        def note() -> None:
            seen.append(Deadline.current().remaining())  # type: ignore[union-attr]

        work: Callable[[], Any] = note
        for timeout in timeouts:
            work = timeout(work)
        work()
        return seen[0]

    assert left(Timeout(5, 2, clock=clock)) == left(Timeout(2, 5, clock=clock)) == 2
    short, long = Timeout(1, clock=clock), Timeout(9, clock=clock)
    assert left(short, long) == left(long, short) == 1

    async def main() -> None:
        # Of the two that end it at the same time whichever comes first.
        with pytest.raises(TimeoutExceededError, match="^call timed out"):
            await moved(clock, 1, short.call_async(long.call_async, hang))
        with pytest.raises(TimeoutExceededError, match="^call timed out after 1 s$"):
            await moved(clock, 1, long.call_async(short.call_async, hang))
        with pytest.raises(TimeoutExceededError, match="^call timed out: its deadline has passed$"), Deadline.after(
            1, clock=clock
        ):
            await moved(clock, 1, long.call_async(hang))

    run(main())


def test_a_callers_own_cancellation_stays_one() -> None:
    async def main() -> None:
        task = asyncio.create_task(Timeout(3600).call_async(hang))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(main())


@pytest.mark.parametrize("nested", [False, True])
def test_a_cancellation_at_the_same_time_is_not_swallowed(nested: bool) -> None:
    """CPython #86296. Both come in one turn of the loop, in either order."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        for number in range(60):
            timeout = Timeout(0.001)
            call = timeout.call_async(timeout.call_async, hang) if nested else timeout.call_async(hang)
            task = asyncio.create_task(call)
            asked: list[bool] = []
            loop.call_later(0.0008 + number % 5 * 0.0001, lambda task=task, asked=asked: asked.append(task.cancel()))
            await asyncio.sleep(0)
            # Both are due when the loop looks.
            time.sleep(0.002)
            with pytest.raises((asyncio.CancelledError, TimeoutExceededError)):
                await task
            # One that came when the task had not ended.
            if asked == [True]:
                assert task.cancelled()
            while not asked:
                await asyncio.sleep(0)

    run(main())


def test_a_time_that_is_over_at_once_cancels_nothing_else() -> None:
    """A request to cancel that is made within a step would end the next wait of whoever calls."""

    async def at_once() -> int:
        return 5

    async def fails() -> None:
        raise ValueError

    async def main() -> None:
        shortest = Timeout(1e-9)
        for _ in range(20):
            assert await shortest.call_async(at_once) == 5
            await asyncio.sleep(0)
            with pytest.raises(ValueError):
                await shortest.call_async(fails)
            await asyncio.sleep(0)
            with pytest.raises(TimeoutExceededError):
                await shortest.call_async(hang)
            await asyncio.sleep(0)
        # Many short ones at once, of which none may leak a cancellation.
        nested = [Timeout(0.0005).call_async(Timeout(0.0004).call_async, hang) for _ in range(200)]
        ends = await asyncio.gather(*nested, return_exceptions=True)
        assert {type(end) for end in ends} == {TimeoutExceededError}

    run(main())


@pytest.mark.parametrize("depth", [2, 3])
def test_the_innermost_of_one_deadline_ends_the_call(depth: int, clock: ManualClock) -> None:
    """What stands between two timeouts that end together sees a call that took too long, and no cancellation."""
    breakers = [CircuitBreaker("bank", consecutive_failures=100) for _ in range(depth)]

    async def call(level: int) -> None:
        if level == depth:
            await hang()
        else:
            await breakers[level].call_async(Timeout(2 + level, clock=clock).call_async, call, level + 1)

    async def main() -> None:
        for number in range(1, 4):
            with pytest.raises(TimeoutExceededError):
                await moved(clock, 2, call(0))
            assert [breaker.stats().failed for breaker in breakers] == [number] * depth
            # Nothing is left over.
            await asyncio.sleep(0)

    run(main())


def test_an_outer_timeout_ends_what_goes_on_after_an_inner_one(clock: ManualClock) -> None:
    went_on: list[bool] = []

    async def goes_on() -> None:
        try:
            await Timeout(3, clock=clock).call_async(hang)
        except TimeoutExceededError:
            went_on.append(True)
            await hang()

    async def main() -> None:
        with pytest.raises(TimeoutExceededError):
            await moved(clock, 2, Timeout(2, clock=clock).call_async(goes_on))
        assert went_on == [True]
        # And one that began later than the inner one had been swallowed.
        task = asyncio.ensure_future(Timeout(2, clock=clock).call_async(Timeout(1, clock=clock).call_async, sleeps_on))
        await asyncio.sleep(0)
        clock.advance(1)
        while not went_on[1:]:
            await asyncio.sleep(0)
        clock.advance(1)
        with pytest.raises(TimeoutExceededError):
            await task

    async def sleeps_on() -> None:
        try:
            await hang()
        except asyncio.CancelledError:
            went_on.append(True)
            await hang()

    run(main())


def test_a_call_that_was_not_made_says_nothing_of_the_dependency(clock: ManualClock) -> None:
    """Whoever sends a deadline that is over must not open a circuit by it."""
    breaker, throttle = CircuitBreaker("bank", consecutive_failures=1), ClientThrottle()
    asked: list[bool] = []

    async def ask() -> None:
        asked.append(True)

    with Deadline.from_headers({"x-request-timeout-ms": "0"}, clock=clock):  # type: ignore[union-attr]
        for _ in range(3):
            with pytest.raises(TimeoutExceededError) as raised:
                run(RetryPolicy(**QUICK).call_async(breaker.call_async, Timeout(2).call_async, ask))
            with pytest.raises(TimeoutExceededError):
                breaker.call(Timeout(2).call, len, "")
            with pytest.raises(TimeoutExceededError):
                throttle.call(Timeout(2).call, len, "")
    assert not asked and breaker.state == "closed" and breaker.stats().calls == 0 and throttle.stats().refused == 0
    for twin in (pickle.loads(pickle.dumps(raised.value)), copy.copy(raised.value)):
        assert http().error(twin) == ("ignore", None)


def test_a_cancelled_call_that_answers_has_its_answer(clock: ManualClock) -> None:
    async def stubborn() -> str:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            return "done"
        return "never"

    async def wraps() -> None:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            raise KeyError("mine") from None

    async def gives_up() -> None:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            raise TimeoutError from None

    async def main() -> None:
        timeout = Timeout(2, clock=clock)
        assert await moved(clock, 2, timeout.call_async(stubborn)) == "done"
        with pytest.raises(KeyError, match="mine"):
            await moved(clock, 2, timeout.call_async(wraps))
        with pytest.raises(TimeoutExceededError):
            await moved(clock, 2, timeout.call_async(gives_up))
        await asyncio.sleep(0)

    run(main())


def test_a_thread_is_not_stopped(clock: ManualClock) -> None:
    timeout = Timeout(2, clock=clock)

    def late() -> str:
        clock.advance(3)
        return "paid"

    def client_gives_up(error: BaseException) -> None:
        clock.advance(3)
        raise error

    assert timeout.call(late) == "paid"
    errors: list[Exception] = [TimeoutError(), socket.timeout(), urllib.error.URLError(TimeoutError())]
    for error in [*errors, library("httpx", "TimeoutException"), library("requests", "Timeout")]:
        with pytest.raises(TimeoutExceededError, match="after 2 s") as raised:
            timeout.call(client_gives_up, error)
        assert raised.value.__cause__ is error
    for stays in (KeyError(), ConnectionResetError(), KeyboardInterrupt()):
        with pytest.raises(type(stays)):
            timeout.call(client_gives_up, stays)
        assert Deadline.current() is None
    # Before the end a client's timeout is its own.
    with pytest.raises(TimeoutError) as own:
        timeout.call(raising, TimeoutError())
    assert type(own.value) is TimeoutError


def raising(error: BaseException) -> None:
    raise error


def library(module: str, name: str) -> Exception:
    return type(name, (Exception,), {"__module__": f"{module}.exceptions"})("it")


def test_a_call_whose_time_is_over_is_not_made(clock: ManualClock) -> None:
    timeout, calls = Timeout(5), []
    with Deadline.after(1, clock=clock) as deadline:
        clock.advance(1)
        assert deadline.expired
        with pytest.raises(TimeoutExceededError, match="had passed before it began"):
            timeout.call(calls.append, 1)
        with pytest.raises(TimeoutExceededError, match="had passed before it began"):
            run(timeout.call_async(hang))
    assert calls == []


def test_a_retry_within_a_deadline(clock: ManualClock) -> None:
    policy = RetryPolicy(attempts=9, base=1, max_delay=1, jitter="none")
    calls: list[float] = []

    def fail() -> None:
        calls.append(1)
        raise ConnectionError

    async def fail_async() -> None:
        fail()

    with Deadline.after(0.5, clock=clock):
        with pytest.raises(ConnectionError) as raised:
            policy.call(fail)
        assert raised.value.attempts == 1  # type: ignore[attr-defined]
        with pytest.raises(ConnectionError):
            run(policy.call_async(fail_async))
    with pytest.raises(ConnectionError):
        Timeout(0.5).call(policy.call, fail)
    assert len(calls) == 3
    with Deadline.after(0.5), pytest.raises(ConnectionError):
        RetryPolicy(attempts=4, **QUICK).call(fail)
    assert len(calls) == 7


def test_each_attempt_has_its_own_time(clock: ManualClock) -> None:
    breaker = CircuitBreaker("bank", consecutive_failures=3)
    attempt = Timeout(attempt=1, clock=clock)
    seen: list[float] = []

    async def ask() -> None:
        current = Deadline.current()
        assert current is not None
        seen.append(current.remaining())
        await asyncio.sleep(3600)

    async def main() -> None:
        task = asyncio.create_task(RetryPolicy(**QUICK).call_async(breaker.call_async, attempt.call_async, ask))
        while not task.done():
            clock.advance(0.25)
            await asyncio.sleep(0.002)
        with pytest.raises(TimeoutExceededError):
            await task
        with pytest.raises(CircuitOpenError):
            breaker.acquire()

    run(main())
    assert seen == [1.0] * 3


def test_generators_and_what_is_no_function_are_refused() -> None:
    timeout = Timeout(60)

    def rows() -> Iterator[int]:
        yield 1

    async def rows_async() -> AsyncIterator[int]:
        yield 1

    async def one() -> int:
        return 1

    wrong: list[tuple[Any, str]] = [(rows, "a generator runs"), (rows_async, "a generator runs")]
    for func, says in [*wrong, (int, "the class int"), (5, "a timeout decorates a function, got int")]:
        with pytest.raises(TypeError, match=says):
            timeout(func)
    for func, says in [(rows, "generator"), (rows_async, "generator"), (one, "call_async")]:
        with pytest.raises(TypeError, match=says):
            timeout.call(func)
    with pytest.raises(TypeError, match=r"is not async, it gave int; use `timeout.call\(…\)`"):
        run(timeout.call_async(lambda: 5))  # type: ignore[arg-type, return-value]


@pytest.mark.parametrize("field", ["total", "attempt"])
def test_bad_arguments(field: str) -> None:
    for wrong in (math.nan, -1, -0.5, timedelta(seconds=-1), -(10**400)):
        with pytest.raises(ConfigError, match=f"^{field}: must be 0 or more seconds, got "):
            Timeout(**{field: wrong})
    with pytest.raises(ConfigError, match=f"^{field}: must be more than 0 seconds, got 0.0$"):
        Timeout(**{field: 0})
    for wrong_type in (True, "1", b"1", [1]):
        with pytest.raises(TypeError, match=f"^{field}: expected seconds as a float, a timedelta or None, got "):
            Timeout(**{field: wrong_type})  # type: ignore[arg-type]
    assert getattr(Timeout(**{field: 10**400}), field) is None
    with pytest.raises(ConfigError, match="^total, attempt: give one of them, or both$"):
        Timeout()
    with pytest.raises(TypeError, match="^clock: expected a ManualClock, got int"):
        Timeout(1, clock=5)  # type: ignore[arg-type]
    assert repr(Timeout(2, attempt=0.5)) == "Timeout(total=2.0, attempt=0.5)"


def test_deadlines(clock: ManualClock) -> None:
    deadline = Deadline.after(timedelta(seconds=2), clock=clock)
    assert deadline.remaining() == 2 and not deadline.expired and repr(deadline) == "<Deadline in 2 s>"
    clock.advance(5)
    assert deadline.remaining() == 0 and deadline.expired
    assert Deadline.after(0).expired and Deadline.after(math.inf).remaining() == math.inf
    clock.set_ns(0)
    # A clock that steps back gives time, as everywhere.
    assert not deadline.expired
    for wrong in (math.nan, -1):
        with pytest.raises(ConfigError, match="^seconds: must be 0 or more seconds"):
            Deadline.after(wrong)
    for wrong_type in (None, True, "2"):
        with pytest.raises(TypeError, match="^seconds: expected seconds"):
            Deadline.after(wrong_type)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="^clock: expected a ManualClock"):
        Deadline.after(1, clock=1)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"made by Deadline.after\(seconds\)"):
        Deadline()


def test_the_earlier_of_two_deadlines_holds(clock: ManualClock) -> None:
    early, late = Deadline.after(1, clock=clock), Deadline.after(9, clock=clock)
    assert Deadline.current() is None
    with early:
        with late:
            assert Deadline.current() is early
        assert Deadline.current() is early
    with late, late:
        assert Deadline.current() is late
        with early:
            assert Deadline.current() is early
        assert Deadline.current() is late
    assert Deadline.current() is None


def test_deadlines_go_into_tasks_and_threads() -> None:
    deadline = Deadline.after(60)

    async def within(expected: Deadline | None) -> None:
        for _ in range(3):
            await asyncio.sleep(0)
            assert Deadline.current() is expected

    async def main() -> None:
        other = asyncio.create_task(within(None))
        with deadline:
            inner = asyncio.create_task(within(deadline))
            # One deadline, entered by several at once.
            await asyncio.gather(*(enter() for _ in range(5)))
            assert await asyncio.to_thread(Deadline.current) is deadline
        assert Deadline.current() is None
        await asyncio.gather(other, inner)

    async def enter() -> None:
        with deadline:
            await within(deadline)
        assert Deadline.current() is deadline

    run(main())
    with deadline:
        assert Thread(Deadline.current).finish() in (None, deadline)
        assert Thread(lambda context=contextvars.copy_context(): context.run(Deadline.current)).finish() is deadline


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"grpc-timeout": "150m"}, 0.15),
        ({"grpc-timeout": "2S"}, 2.0),
        ({"grpc-timeout": "1M"}, 60.0),
        ({"grpc-timeout": "1H"}, 3600.0),
        ({"grpc-timeout": "99999999u"}, 99.999999),
        ({"grpc-timeout": "5000000n"}, 0.005),
        ({"grpc-timeout": "0S"}, 0.0),
        ({"Grpc-Timeout": "1S"}, 1.0),
        ({"x-request-timeout-ms": "1500"}, 1.5),
        ({"X-Request-Timeout-Ms": " 1500.5 "}, 1.5005),
        ({"x-request-timeout-ms": "0"}, 0.0),
        ({"x-request-timeout-ms": "9" * 400}, 3600.0),
        ({"x-request-timeout-ms": "10000000000000"}, 3600.0),
        ({"grpc-timeout": "99999999H"}, 3600.0),
        ({"grpc-timeout": "2S", "x-request-timeout-ms": "1500"}, 1.5),
        ({"grpc-timeout": "1S", "x-request-timeout-ms": "soon"}, 1.0),
        ([(b"host", b"a"), (b"X-Request-Timeout-Ms", b"250"), (b"x-request-timeout-ms", b"9")], 0.25),
        *(
            ({"grpc-timeout": nonsense}, None)
            for nonsense in ("", "S", "1", "1s", "-1S", "1.5S", "123456789S", "1 S", "1S1S", "١S", "nan")
        ),
        *(
            ({"x-request-timeout-ms": nonsense}, None)
            for nonsense in ("", "soon", "-5", "nan", "inf", "1e3", "0x10", "1_000", "١", "5 s", "+5", ".5", "5.")
        ),
        ({}, None),
        ([], None),
    ],
)
def test_deadlines_of_requests(headers: Any, seconds: float | None, clock: ManualClock) -> None:
    deadline = Deadline.from_headers(headers, clock=clock)
    if seconds is None:
        assert deadline is None
    else:
        assert deadline is not None and deadline.remaining() == pytest.approx(seconds, abs=1e-6)


def test_names_and_bounds_of_deadlines_of_requests(clock: ManualClock) -> None:
    def read(headers: Any, *names: Any, **more: Any) -> float | None:
        deadline = Deadline.from_headers(headers, *names, clock=clock, **more)
        return None if deadline is None else deadline.remaining()

    envoy = {"x-envoy-expected-rq-timeout-ms": "500", "grpc-timeout": "1m"}
    assert read(envoy, "X-Envoy-Expected-Rq-Timeout-Ms") == 0.5
    assert read(envoy, ["x-none", "x-envoy-expected-rq-timeout-ms"]) == 0.5 and read(envoy, []) is None
    assert read({"grpc-timeout": "9H"}, max=30) == 30 and read({"grpc-timeout": "1S"}, max=timedelta(hours=1)) == 1
    assert read({"grpc-timeout": "9H"}, max=math.inf) == 9 * 3600 and read({}, max=30) is None
    with pytest.raises(TypeError, match="^names: expected the name of a header, got int"):
        read({}, [5])
    with pytest.raises(ConfigError, match="^names: the name of a header cannot be empty"):
        read({}, "")
    with pytest.raises(ConfigError, match="^max: must be 0 or more seconds, got nan"):
        read({}, max=math.nan)
    for wrong in (5, None, "grpc-timeout: 5S", [5]):
        with pytest.raises(TypeError, match="^headers: expected a mapping, or pairs"):
            read(wrong)


def test_what_clients_send_on(clock: ManualClock) -> None:
    deadline = Deadline.after(2, clock=clock)
    assert deadline.headers() == {"x-request-timeout-ms": "1900"}
    assert deadline.headers("grpc-timeout") == {"grpc-timeout": "1900m"}
    assert deadline.headers("X-Mine-Ms") == {"X-Mine-Ms": "1900"}
    assert Deadline.after(math.inf).headers() == {}
    assert Deadline.after(0).headers("grpc-timeout") == {"grpc-timeout": "0m"}
    assert Deadline.after(1e6, clock=clock).headers("grpc-timeout") == {"grpc-timeout": "950000S"}
    assert Deadline.after(1e9, clock=clock).headers("grpc-timeout") == {"grpc-timeout": "99999999S"}
    for hop in range(3):
        deadline = Deadline.from_headers(deadline.headers("grpc-timeout"), clock=clock)  # type: ignore[assignment]
        assert deadline.remaining() == pytest.approx(2 * 0.95 ** (hop + 1), abs=0.002)
    with pytest.raises(TypeError, match="^name: expected"):
        deadline.headers(5)  # type: ignore[arg-type]


def test_a_call_leaves_no_cycle_behind() -> None:
    """Cancelled timers, which loops keep for a while, do not keep what they were for."""

    async def main() -> None:
        timeout = Timeout(60)
        for _ in range(3):
            await timeout.call_async(timeout.call_async, asyncio.sleep, 0)
        gc.collect()
        gc.disable()
        try:
            for _ in range(50):
                await timeout.call_async(timeout.call_async, asyncio.sleep, 0)
            assert not [found for found in gc.get_objects() if type(found).__name__ == "_Limit"]
        finally:
            gc.enable()

    run(main())
