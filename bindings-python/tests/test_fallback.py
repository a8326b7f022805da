"""Fallback and cached: what stands in for a call that failed, and what does not."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import functools
import gc
import logging
import math
import os
import pickle
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from conftest import Thread, run, wait_until
from starlette.responses import JSONResponse
from tidegate import (
    Alternative,
    BoundedQueue,
    CircuitBreaker,
    CircuitOpenError,
    ConfigError,
    Deadline,
    Fallback,
    FallbackStats,
    ManualClock,
    Outcome,
    QueuedCall,
    RateLimitedError,
    Timeout,
    TimeoutExceededError,
    cached,
    http,
)


def fail(*args: Any, **kwargs: Any) -> Any:
    raise ConnectionError("reset")


async def fail_async(*args: Any, **kwargs: Any) -> Any:
    await asyncio.sleep(0)
    raise ConnectionError("reset")


def both(fallback: Fallback, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Iterator[Outcome[Any]]:
    """The outcome in a thread, and in a task."""

    async def func_async(*args: Any, **kwargs: Any) -> Any:
        await asyncio.sleep(0)
        return func(*args, **kwargs)

    yield fallback.call(func, *args, **kwargs)
    yield run(fallback.call_async(func_async, *args, **kwargs))


class Held:
    """A call that waits until it is let go."""

    def __init__(self) -> None:
        self.calls, self.go, self.end = 0, threading.Event(), lambda: 1

    def __call__(self, *args: Any) -> Any:
        self.calls += 1
        assert self.go.wait(30)
        return self.end()

    async def async_(self, *args: Any) -> Any:
        self.calls += 1
        while not self.go.is_set():
            await asyncio.sleep(0.001)
        return self.end()


# One refresh per key.


def test_fifty_tasks_make_one_call() -> None:
    fallback, held = Fallback(cached=cached(60)), Held()

    async def main() -> list[Outcome[Any]]:
        tasks = [asyncio.create_task(fallback.call_async(held.async_, "a")) for _ in range(50)]
        other = asyncio.create_task(fallback.call_async(held.async_, "b"))
        await asyncio.sleep(0.01)
        held.go.set()
        await other
        return await asyncio.gather(*tasks)

    outcomes = run(main())
    assert held.calls == 2 and {(outcome.value, outcome.source) for outcome in outcomes} == {(1, "primary")}
    assert fallback.stats().primary == 51


def test_fifty_threads_make_one_call() -> None:
    fallback, held = Fallback(cached=cached(60)), Held()
    threads = [Thread(lambda: fallback.call(held, "a")) for _ in range(50)]
    wait_until(lambda: held.calls == 1)
    held.go.set()
    assert [thread.finish().value for thread in threads] == [1] * 50
    # Those that came when the first had ended made another.
    assert held.calls <= 50 and fallback.stats().primary == 50


def test_threads_and_tasks_share_a_call() -> None:
    fallback, held = Fallback(cached=cached(60, key=lambda key: key)), Held()
    leader = Thread(lambda: fallback.call(held, "a"))
    wait_until(lambda: held.calls == 1)

    async def main() -> Outcome[Any]:
        task = asyncio.create_task(fallback.call_async(held.async_, "a"))
        await asyncio.sleep(0.01)
        held.go.set()
        return await task

    assert run(main()).value == leader.finish().value == 1 and held.calls == 1


def test_what_a_call_raises_is_everybodys() -> None:
    fallback, held = Fallback(cached=cached(60), fallback_on=ConnectionError), Held()
    held.end = lambda: fail()

    async def main() -> list[Any]:
        tasks = [asyncio.create_task(fallback.call_async(held.async_)) for _ in range(9)]
        await asyncio.sleep(0.01)
        held.go.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    assert {type(error) for error in run(main())} == {ConnectionError} and held.calls == 1
    assert fallback.stats() == FallbackStats(0, 9, {"cache": 0}, 9)


def test_a_cancelled_call_takes_nobody_along() -> None:
    fallback, held = Fallback(cached=cached(60)), Held()

    async def main() -> None:
        tasks = [asyncio.create_task(fallback.call_async(held.async_)) for _ in range(5)]
        await asyncio.sleep(0.01)
        # Who waits may go, and the leader: the next one makes the call.
        tasks[3].cancel()
        await asyncio.sleep(0.01)
        assert held.calls == 1
        tasks[0].cancel()
        await asyncio.sleep(0.01)
        assert held.calls == 2
        held.go.set()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(end) for end in ends] == [
            asyncio.CancelledError, Outcome, Outcome, asyncio.CancelledError, Outcome
        ]  # fmt: skip

    run(main())


def test_ctrl_c_in_a_call_takes_no_other_thread_along() -> None:
    fallback, held = Fallback(cached=cached(60)), Held()
    ends = iter([KeyboardInterrupt(), None])

    def end() -> int:
        error = next(ends)
        if error is not None:
            raise error
        return 7

    held.end = end
    threads = [Thread(lambda: fallback.call(held)) for _ in range(2)]
    wait_until(lambda: held.calls == 1)
    held.go.set()
    wait_until(lambda: not any(thread.is_alive() for thread in threads))
    assert sorted(str(type(thread.error)) for thread in threads) == sorted(map(str, (KeyboardInterrupt, type(None))))
    assert held.calls == 2


def test_a_call_within_itself_does_not_wait_for_itself() -> None:
    fallback = Fallback(cached=cached(60))
    depth: list[int] = []

    def again() -> int:
        depth.append(1)
        return 5 if len(depth) % 3 == 0 else fallback.call(again).value + 1

    async def again_async() -> int:
        depth.append(1)
        if len(depth) % 3 == 0:
            return 5
        # Also in a task of its own.
        return (await asyncio.create_task(fallback.call_async(again_async))).value + 1

    assert fallback.call(again).value == 7 and run(fallback.call_async(again_async)).value == 7


def test_a_thread_that_waits_keeps_its_deadline(clock: ManualClock) -> None:
    fallback, held = Fallback(cached=cached(60)), Held()
    leader = Thread(lambda: fallback.call(held))
    wait_until(lambda: held.calls == 1)

    def late() -> None:
        with Deadline.after(2, clock=clock):
            fallback.call(held)

    follower = Thread(late)
    while follower.is_alive():
        clock.advance(0.5)
        follower.join(0.002)
    with pytest.raises(TimeoutExceededError):
        follower.finish()
    with Deadline.after(0.001), pytest.raises(TimeoutExceededError):
        fallback.call(held)
    held.go.set()
    assert leader.finish().value == 1 and held.calls == 1


def test_a_task_that_waits_keeps_its_deadline(clock: ManualClock) -> None:
    fallback, held = Fallback(cached=cached(60, key=lambda: 1)), Held()

    async def late() -> None:
        with Deadline.after(2, clock=clock):
            await fallback.call_async(held.async_)

    async def main() -> None:
        leader = asyncio.create_task(fallback.call_async(held.async_))
        await asyncio.sleep(0)
        follower = asyncio.create_task(late())
        await asyncio.sleep(0)
        clock.advance(2)
        with pytest.raises(TimeoutExceededError):
            await follower
        held.go.set()
        assert (await leader).value == 1 and held.calls == 1

    run(main())


def test_a_callers_short_time_is_no_matter_of_the_others(clock: ManualClock) -> None:
    fallback = Fallback(cached=cached(60, key=lambda *given: 1), fallback_on=KeyError)
    going, calls = asyncio.Event(), []

    async def ask() -> int:
        calls.append(1)
        await going.wait()
        return len(calls)

    async def hurried() -> None:
        with Deadline.after(2, clock=clock):
            await fallback.call_async(Timeout(60).call_async, ask)

    async def main() -> None:
        leader = asyncio.create_task(hurried())
        await asyncio.sleep(0)
        followers = [asyncio.create_task(fallback.call_async(ask)) for _ in range(5)]
        await asyncio.sleep(0)
        clock.advance(2)
        with pytest.raises(TimeoutExceededError):
            await leader
        # One of them makes the call, and the others wait for it.
        for _ in range(5):
            await asyncio.sleep(0)
        going.set()
        assert [(await follower).value for follower in followers] == [2] * 5

    run(main())

    def late() -> None:
        with Deadline.after(0):
            fallback.call(Timeout(60).call, len, "")

    # The same in threads, where nobody waits.
    fallback = Fallback(cached=cached(60, key=lambda *given: 1), fallback_on=KeyError)
    with pytest.raises(TimeoutExceededError):
        late()
    assert fallback.call(len, "abc").value == 3


def test_a_loops_thread_waits_for_none_of_its_tasks() -> None:
    fallback, held = Fallback(cached=cached(60, key=lambda: 1)), Held()

    async def main() -> None:
        task = asyncio.create_task(fallback.call_async(held.async_))
        await asyncio.sleep(0.01)
        assert fallback.call(lambda: 9).value == 9
        held.go.set()
        assert (await task).value == 1

    run(main())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_of_fork_waits_for_no_thread_of_its_parent() -> None:
    fallback, held = Fallback(cached=cached(60, key=lambda: 1)), Held()
    leader = Thread(lambda: fallback.call(held))
    wait_until(lambda: held.calls == 1)
    child = os.fork()
    if child == 0:
        try:
            with fallback._lock:
                pass
            os._exit(0 if fallback.call(lambda: 9).value == 9 and fallback.stats().primary == 1 else 3)
        finally:
            os._exit(4)
    assert os.waitpid(child, 0)[1] == 0
    held.go.set()
    assert leader.finish().value == 1

    # A fork within the call itself: both sides end it.
    def forks() -> int:
        pid = os.fork()
        if pid:
            assert os.waitpid(pid, 0)[1] == 0
        return pid

    pid = fallback.call(forks).value
    if pid == 0:
        os._exit(0 if fallback.call(lambda: 9).value == 9 else 3)


# Keys and values.


def test_the_default_key_is_the_function_and_its_arguments() -> None:
    fallback = Fallback(cached=cached(60))

    def show(*args: Any, **kwargs: Any) -> Any:
        return args, kwargs

    def get(*args: Any, **kwargs: Any) -> Any:
        """The same, and failing from now on."""
        if get.fails:  # type: ignore[attr-defined]
            fail()
        return show(*args, **kwargs)

    get.fails = False  # type: ignore[attr-defined]
    calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
        ((1,), {}), ((True,), {}), ((1.0,), {}), ((1, 2), {}), ((1,), {"b": 2, "a": 1}), ((), {"b": 1}), (("1",), {})
    ]  # fmt: skip
    for args, kwargs in calls:
        fallback.call(get, *args, **kwargs)
    get.fails = True  # type: ignore[attr-defined]
    for args, kwargs in calls:
        outcome = fallback.call(get, *args, **kwargs)
        assert outcome.source == "cache" and repr(outcome.value) == repr((args, kwargs))
    assert fallback.call(get, 1, a=1, b=2).source == "cache"
    for other in (lambda *args: fail(), functools.partial(get)):
        with pytest.raises(ConnectionError):
            fallback.call(other, 1)
    with pytest.raises(TypeError, match="^cached: give key=, a function of the arguments"):
        fallback.call(get, [1])


def test_keys_of_ones_own(clock: ManualClock) -> None:
    fallback = Fallback(cached=cached(60, key=lambda order, **more: order["id"]))
    assert fallback.call(lambda order: 5, {"id": 7}).value == 5
    assert fallback.call(fail, {"id": 7, "more": 1}).source == "cache"
    by_text = Fallback(cached=cached(key=str))
    assert by_text.call(lambda order: 5, [1]).value == 5 and by_text.call(fail, [1]).source == "cache"

    async def late(order: Any) -> Any:
        return 1

    def odd(order: Any) -> Any:
        raise LookupError("mine")

    for key, kind, says in [
        (lambda order: [], TypeError, "^key: .* gave a list, which cannot be hashed"),
        (late, TypeError, "^key: a function of the arguments cannot be async"),
        (odd, LookupError, "^mine"),
    ]:
        for make in (Fallback(cached=cached(60, key=key)), Fallback(cached=cached(60, key=key), static=1)):
            with pytest.raises(kind, match=says):
                make.call(lambda order: 1, {})
            with pytest.raises(kind, match=says):
                run(make.call_async(asyncio.sleep, 0))


def test_a_clock_that_steps_back_makes_no_value_younger(clock: ManualClock) -> None:
    fallback = Fallback(cached=cached(10, key=lambda: 1, clock=clock))
    fallback.call(lambda: 5)
    clock.set_ns(0)
    assert fallback.call(fail).age == 0
    forever = Fallback(cached=cached(math.inf, key=lambda: 1, clock=clock))
    forever.call(lambda: 5)
    clock.advance(1e9)
    assert forever.call(fail).age == 1e9


def test_bad_arguments_of_a_cache() -> None:
    for wrong in (math.nan, -1, timedelta(seconds=-1)):
        with pytest.raises(ConfigError, match="^max_age: must be 0 or more seconds"):
            cached(wrong)
    with pytest.raises(ConfigError, match="^max_age: must be more than 0 seconds"):
        cached(0)
    for wrong_type in (True, "60", b"1"):
        with pytest.raises(TypeError, match="^max_age: expected seconds"):
            cached(wrong_type)  # type: ignore[arg-type]
    for few in (0, -1):
        with pytest.raises(ConfigError, match="^max_entries: must be 1 or more"):
            cached(max_entries=few)
    for no_count in (True, 1.5, "1", math.nan, None):
        with pytest.raises(TypeError, match="^max_entries: expected an int"):
            cached(max_entries=no_count)  # type: ignore[arg-type]
    for no_key in (5, "id"):
        with pytest.raises(TypeError, match="^key: expected a function of the call's arguments"):
            cached(key=no_key)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="^clock: expected a ManualClock"):
        cached(clock=5)  # type: ignore[arg-type]
    assert repr(cached(max_entries=7)) == "<cached: 0 of at most 7 values>"


# Static values.


def test_static_values_and_functions(caplog: pytest.LogCaptureFixture) -> None:
    response = JSONResponse({})
    for value in (0, None, "", response, {}):
        for outcome in both(Fallback(static=value), fail):
            assert (outcome.value, outcome.source) == (value, "static") and isinstance(outcome.error, ConnectionError)
    for outcome in both(Fallback(static=lambda error: str(error)), fail):
        assert outcome.value == "reset"

    async def later(error: Exception) -> str:
        await asyncio.sleep(0)
        return str(error)

    assert run(Fallback(static=later).call_async(fail_async)).value == "reset"

    def odd(error: Exception) -> Any:
        raise LookupError("mine")

    # One that raises is passed over: in the log, and then what follows, or the primary's error.
    for broken, calls in [(odd, 2), (later, 1), (lambda error: (row for row in ()), 1)]:
        fallback = Fallback(static=broken, alternatives=[Alternative(lambda: 3, "other")])
        outcomes = list(both(fallback, fail)) if calls == 2 else [fallback.call(fail)]
        assert {outcome.source for outcome in outcomes} == {"other"}
        with pytest.raises(ConnectionError) as raised:
            Fallback(static=broken).call(fail)
        assert raised.value.__cause__ is None and raised.value.__context__ is None
    assert "static: test_static_values_and_functions.<locals>.odd of a Fallback raised" in caplog.text
    assert "LookupError: mine" in caplog.text and caplog.records[0].levelno == logging.WARNING
    with pytest.raises(TypeError, match="^static: expected a function of the error, got"):
        Fallback(static=lambda: 1)


# Alternatives.


def test_each_alternative_has_its_own_breaker() -> None:
    asked: list[str] = []

    def second(order: str) -> str:
        asked.append("second")
        raise TimeoutError

    async def third(order: str, *, more: int = 0) -> str:
        asked.append("third")
        return order

    breaker = CircuitBreaker("of its own", consecutive_failures=2)
    fallback = Fallback(alternatives=[Alternative(second, breaker=breaker), third])
    assert set(fallback.breakers) == {"second", "third"} and fallback.breakers["second"] is breaker
    for _ in range(4):
        outcome = run(fallback.call_async(fail_async, "7"))
        assert (outcome.value, outcome.source) == ("7", "third") and isinstance(outcome.error, ConnectionError)
    assert asked.count("second") == 2 and breaker.state == "open" and asked.count("third") == 4
    assert fallback.breakers["third"].stats().calls == 4 and fallback.breakers["third"].scope == "process"
    assert fallback.stats() == FallbackStats(0, 4, {"second": 0, "third": 4}, 0)
    # Async ones have no place in a thread, and wrong arguments are a mistake there too.
    with pytest.raises(TypeError, match="the function is async") as raised:
        fallback.call(fail, "7")
    assert isinstance(raised.value.__cause__, ConnectionError)
    with pytest.raises(TypeError, match="unexpected keyword"):
        run(fallback.call_async(fail_async, "7", least=1))
    assert fallback.breakers["third"].stats().failed == 0


def test_cancelled_and_interrupted_within_a_fallback() -> None:
    breaker = CircuitBreaker("second", window_calls=5)
    held = Held()
    second = [Alternative(held.async_, "second", breaker)]
    fallback = Fallback(alternatives=second, static=0, order=("alternatives", "static"))

    async def main() -> None:
        task = asyncio.create_task(fallback.call_async(fail_async))
        while not held.calls:
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(main())

    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Fallback(alternatives=[Alternative(interrupt, "second", breaker)]).call(fail)
    assert breaker.stats().calls == 0 and fallback.stats().fallback == {"second": 0, "static": 0}


def test_bad_alternatives() -> None:
    def rows() -> Iterator[int]:
        yield 1

    def other() -> int:
        return 1

    wrong_type: Any = 5
    for wrong, kind, says in [
        (other, TypeError, "^alternatives: expected a list of functions or of Alternatives, got the function other"),
        (Alternative(other), TypeError, "^alternatives: expected a list"),
        ({"other": other}, TypeError, "^alternatives: expected a list of functions or of Alternatives, got dict"),
        ([5], TypeError, "^alternatives: a fallback decorates a function, got int"),
        ([int], TypeError, "^alternatives: a fallback decorates a function, got the class int"),
        ([rows], TypeError, "^rows: a generator runs"),
        ([lambda: 1], ConfigError, "^alternatives: one has no name"),
        ([functools.partial(other)], ConfigError, "^alternatives: one has no name"),
        ([Alternative(other, "")], ConfigError, "^alternatives: one has no name"),
        ([Alternative(other, wrong_type)], TypeError, "^name: expected a str, got int"),
        ([Alternative(other, "cache")], ConfigError, "^alternatives: one cannot be called 'cache', which is"),
        ([other, other], ConfigError, "^alternatives: two are called 'other'"),
        ([Alternative(other, breaker=wrong_type)], TypeError, "^breaker: expected a CircuitBreaker, got int"),
    ]:
        with pytest.raises(kind, match=says):
            Fallback(alternatives=wrong)  # type: ignore[arg-type]


# Queues.


def test_a_queue_takes_the_call() -> None:
    queue: BoundedQueue[QueuedCall] = BoundedQueue(2, high_watermark=1.0)
    fallback = Fallback(queue=queue)
    for outcome in both(fallback, fail, "7", amount=3):
        assert (outcome.value, outcome.source) == (None, "queued")
    item = queue.try_pop()
    assert item is not None and (item.call, item.args, item.kwargs) == (fail, ("7",), {"amount": 3})
    assert isinstance(item.error, ConnectionError)
    queue.try_push(item)
    # Full, and closed: the error.
    for close in (lambda: None, queue.close):
        close()
        with pytest.raises(ConnectionError):
            fallback.call(fail)
    assert fallback.stats() == FallbackStats(0, 4, {"queued": 2}, 2) and queue.depth == 2
    assert pickle.loads(pickle.dumps(QueuedCall(fail, (1,), {}, None))) == QueuedCall(fail, (1,), {}, None)


# What it is for.


@pytest.mark.parametrize(
    "error",
    [TimeoutError(), TimeoutExceededError(), CircuitOpenError("it", 1.0), RateLimitedError(), OSError(), Exception()],
)
def test_failures_and_refusals_are_replaced(error: Exception) -> None:
    def raises() -> None:
        raise error

    for outcome in both(Fallback(static=0), raises):
        assert outcome.source == "static" and outcome.error is error


@pytest.mark.parametrize(
    "error",
    [
        asyncio.CancelledError(),
        concurrent.futures.CancelledError(),
        KeyboardInterrupt(),
        SystemExit(),
        GeneratorExit(),
        ConfigError("burst: too much"),
    ],
)
def test_what_is_nobodys_failure_is_never_replaced(error: BaseException) -> None:
    def raises() -> None:
        raise error

    anything = Fallback(static=0, fallback_on=BaseException)
    for fallback in (Fallback(static=0), anything, Fallback(static=0, cached=cached())):
        with pytest.raises(type(error)):
            fallback.call(raises)
        assert fallback.stats().failures == 0


def test_mistakes_are_never_replaced() -> None:
    def charge(order: str) -> int:
        return 1

    async def charge_async(order: str) -> int:
        return 1

    anything = Fallback(static=0, fallback_on=Exception)
    for fallback in (Fallback(static=0), anything, Fallback(static=0, cached=cached())):
        with pytest.raises(TypeError, match="missing 1 required"):
            fallback.call(charge)  # type: ignore[call-arg]
        with pytest.raises(TypeError, match="missing 1 required"):
            run(fallback.call_async(charge_async))  # type: ignore[call-arg]
        with pytest.raises(TypeError, match="the function is async"):
            fallback.call(charge_async, "7")
        with pytest.raises(TypeError, match=r"is not async, it gave int; use `fallback.call\(…\)`"):
            run(fallback.call_async(charge, "7"))  # type: ignore[arg-type]
    # One in the function itself is raised, unless it is named.
    with pytest.raises(KeyError):
        Fallback(static=0).call({}.__getitem__, 1)
    assert Fallback(static=0, fallback_on=KeyError).call({}.__getitem__, 1).value == 0


@pytest.mark.skipif(sys.version_info < (3, 11), reason="no exception groups")
def test_a_group_is_replaced_where_each_of_its_members_would_be() -> None:
    lost, refused = ConnectionError("reset"), CircuitOpenError("bank", 5.0)

    def fail_with(*members: Exception) -> Any:
        raise ExceptionGroup("several", members)

    for members in [(lost, lost), (refused, refused), (refused, lost)]:
        for outcome in both(Fallback(static=0), fail_with, *members):
            assert outcome.source == "static"
    for members in [(lost, KeyError()), (refused, ConfigError("x"))]:
        with pytest.raises(ExceptionGroup):
            Fallback(static=0).call(fail_with, *members)


def test_a_predicate_that_throws_is_raised() -> None:
    def odd(error: Exception) -> bool:
        raise LookupError("mine")

    for outcome in ("call", "call_async"):
        with pytest.raises(LookupError, match="mine") as raised:
            fallback = Fallback(static=0, fallback_on=odd)
            fallback.call(fail) if outcome == "call" else run(fallback.call_async(fail_async))
        assert isinstance(raised.value.__context__, ConnectionError)
    with pytest.raises(TypeError, match="^fallback_on: http makes a Classifier"):
        Fallback(static=0, fallback_on=http)  # type: ignore[arg-type]


def test_contexts_reach_the_fallback() -> None:
    request: contextvars.ContextVar[str] = contextvars.ContextVar("request")

    async def ask(name: str) -> str:
        request.set(name)
        outcome = await Fallback(static=lambda error: request.get()).call_async(fail_async)
        return str(outcome.value)

    async def main() -> list[str]:
        return await asyncio.gather(ask("a"), ask("b"))

    assert run(main()) == ["a", "b"]


def test_decorators_and_detached_methods() -> None:
    @Fallback(static=5)
    def rate(currency: str) -> int:
        return {"EUR": 1}.get(currency) or fail()

    @Fallback(static=5)
    async def rate_async(currency: str) -> int:
        return rate(currency).value

    assert (rate("EUR").value, rate("USD").source, run(rate_async("EUR")).value) == (1, "static", 1)
    assert rate.__name__ == "rate" and asyncio.iscoroutinefunction(rate_async)
    detached = Fallback(static=5).call
    assert detached(fail).value == 5

    def rows() -> Iterator[int]:
        yield 1

    for wrong, says in [(rows, "a generator runs"), (int, "the class int"), (5, "decorates a function, got int")]:
        with pytest.raises(TypeError, match=says):
            Fallback(static=5)(wrong)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="gave a generator"):
        Fallback(static=5).call(rows)


def test_bad_arguments() -> None:
    with pytest.raises(ConfigError, match="^cached, static, alternatives, queue: give one of them at least"):
        Fallback()
    with pytest.raises(TypeError, match=r"^cached: expected what cached\(max_age=60\) makes, got the function cached"):
        Fallback(cached=cached)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="^queue: expected a BoundedQueue, got int"):
        Fallback(queue=5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="^fallback_on: expected an exception class"):
        Fallback(static=0, fallback_on=5)  # type: ignore[arg-type]
    for order in (["static"], ["static", "cached", "queue"], ["static", "static"], [], ["static", "cache"], [5, 6]):
        with pytest.raises(ConfigError, match=r"^order: must name each of what is given once \(cached, static\), got "):
            Fallback(static=0, cached=cached(), order=order)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="^order: expected a list of names, got str"):
        Fallback(static=0, order="static")
    assert repr(Fallback(static=0, cached=cached())) == "<Fallback from cache, static>"


def test_an_error_that_was_replaced_is_let_go() -> None:
    fallback = Fallback(static=0)
    gone: list[weakref.ref[BaseException]] = []

    class Failed(ConnectionError):
        pass

    def raises() -> None:
        error = Failed()
        gone.append(weakref.ref(error))
        try:
            raise error
        finally:
            del error

    async def raises_async() -> None:
        raises()

    async def main() -> None:
        await Fallback(static=0, cached=cached()).call_async(raises_async)

    gc.disable()
    try:
        fallback.call(raises)
        Fallback(static=0, cached=cached()).call(raises)
        run(main())
        assert [one() for one in gone] == [None] * 3
    finally:
        gc.enable()


def test_counters_of_many_threads() -> None:
    fallback = Fallback(static=0)

    def work() -> None:
        for number in range(200):
            fallback.call(fail if number % 2 else int)

    for thread in [Thread(work) for _ in range(8)]:
        thread.finish()
    assert fallback.stats() == FallbackStats(800, 800, {"static": 800}, 0)
