"""RetryPolicy, RetryBudget and ClientThrottle: what is retried, when, and at whose cost."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import contextvars
import http.server
import itertools
import json
import math
import os
import pathlib
import pickle
import signal
import socket
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from http import HTTPStatus
from typing import Any

import pytest
from conftest import Script, Thread, run, wait_until
from tidegate import (
    CircuitBreaker,
    CircuitOpenError,
    Classifier,
    ClientThrottle,
    ConfigError,
    ManualClock,
    RateLimitedError,
    RetryBudget,
    RetryBudgetExceededError,
    RetryPolicy,
    ThrottledError,
    TidegateError,
)
from tidegate import _paid
from tidegate import http as http_calls
from tidegate._retryable import is_transient, retry_after

QUICK: dict[str, Any] = {"base": 0, "max_delay": 0}
VECTORS = pathlib.Path(__file__).parents[2] / "tests" / "vectors"


class Flaky:
    """Fails so often, then gives the number of the call."""

    def __init__(self, failures: float, error: BaseException | type[BaseException] = ConnectionError) -> None:
        self.failures, self.error, self.calls = failures, error, 0

    def __call__(self, *args: Any, **kwargs: Any) -> int:
        self.calls += 1
        if self.calls <= self.failures:
            raise self.error
        return self.calls

    async def async_(self, *args: Any, **kwargs: Any) -> int:
        await asyncio.sleep(0)
        return self(*args, **kwargs)


def both(policy: RetryPolicy, flaky: Flaky) -> Iterator[Callable[[], Any]]:
    """The call in a thread, and in a task."""

    def fresh() -> None:
        flaky.calls = 0

    yield lambda: (fresh(), policy.call(flaky))[1]
    yield lambda: (fresh(), run(policy.call_async(flaky.async_)))[1]


def test_a_call_that_failed_is_made_again() -> None:
    flaky = Flaky(2)
    for call in both(RetryPolicy(**QUICK), flaky):
        assert call() == 3


def test_the_last_error_tells_how_often() -> None:
    flaky = Flaky(math.inf, TimeoutError("late"))
    for call in both(RetryPolicy(**QUICK), flaky):
        with pytest.raises(TimeoutError, match="late") as raised:
            call()
        assert flaky.calls == 3
        assert (raised.value.attempts, raised.value.retry_after) == (3, 0.0)  # type: ignore[attr-defined]
        flaky.error = TimeoutError("late")


def test_arguments_and_results_pass_through() -> None:
    policy = RetryPolicy(**QUICK)

    def add(one: int, *, two: int) -> int:
        return one + two

    async def add_async(one: int, *, two: int) -> int:
        return one + two

    assert policy.call(add, 1, two=2) == policy.wrap(add)(1, two=2) == policy(add)(1, two=2) == 3
    assert run(policy.call_async(add_async, 1, two=2)) == run(policy(add_async)(1, two=2)) == 3
    assert policy(add).__name__ == "add" and asyncio.iscoroutinefunction(policy(add_async))


def test_methods_are_decorated() -> None:
    class Bank:
        calls = 0

        @RetryPolicy(**QUICK)
        def charge(self, amount: int) -> int:
            self.calls += 1
            if self.calls < 3:
                raise ConnectionError
            return amount

    bank = Bank()
    detached = bank.charge
    assert detached(7) == 7 and bank.calls == 3


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit, asyncio.CancelledError])
def test_what_is_no_failure_is_not_retried(error: type[BaseException]) -> None:
    flaky = Flaky(math.inf, error)
    with pytest.raises(error):
        RetryPolicy(retry_on=Exception, **QUICK).call(flaky)
    assert flaky.calls == 1


@pytest.mark.parametrize(
    "error",
    [
        CircuitOpenError("bank", 3.0),
        ThrottledError(),
        RetryBudgetExceededError(),
        ConfigError("burst: too much"),
        concurrent.futures.CancelledError(),
    ],
)
def test_what_another_call_cannot_mend_is_never_retried(error: Exception) -> None:
    flaky = Flaky(math.inf, error)
    with pytest.raises(type(error)):
        RetryPolicy(retry_on=Exception, **QUICK).call(flaky)
    assert flaky.calls == 1


def test_an_error_that_is_only_called_like_a_cancellation_is_judged() -> None:
    own = type("CancelledError", (Exception,), {})
    assert RetryPolicy(retry_on=own, **QUICK).call(Flaky(1, own)) == 2


def test_wrong_arguments_are_not_retried() -> None:
    budget = RetryBudget()

    def charge(order: str) -> None:
        raise AssertionError("is not called")

    with pytest.raises(TypeError, match="missing 1 required"):
        RetryPolicy(retry_on=Exception, budget=budget, **QUICK).call(charge)  # type: ignore[call-arg]
    assert budget.stats().withdrawn == 0


@pytest.mark.parametrize("error", [ValueError, TypeError("within"), KeyError, RateLimitedError(), AttributeError])
def test_a_mistake_and_a_refusal_are_retried_only_when_named(error: Any) -> None:
    flaky = Flaky(2, error)
    with pytest.raises(Exception):  # noqa: B017  (whichever it is)
        RetryPolicy(**QUICK).call(flaky)
    assert flaky.calls == 1
    flaky.calls = 0
    kind = error if isinstance(error, type) else type(error)
    assert RetryPolicy(retry_on=(OSError, kind), **QUICK).call(flaky) == 3


class Response(Exception):
    def __init__(self, status: int, **headers: str) -> None:
        told = {name.replace("_", "-"): value for name, value in headers.items()}
        self.response = type("R", (), {"status_code": status, "headers": told})()


@pytest.mark.parametrize(
    ("status", "transient"),
    [(200, False), (400, False), (404, False), (409, False), (429, True), (500, True), (502, True), (503, True)],
)
def test_http_statuses(status: int, transient: bool) -> None:
    assert is_transient(Response(status)) is transient


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        ({"Retry_After": "7"}, 7.0),
        ({"retry_after": "7"}, 7.0),
        ({"Retry_After": "1.5"}, 1.5),
        ({"Retry_After_Ms": "250", "Retry_After": "7"}, 0.25),
        ({"Retry_After": "soon"}, None),
        ({"Retry_After": "-5"}, None),
        ({"Retry_After": "nan"}, None),
        ({"Retry_After": "1e9"}, None),
        ({"Retry_After": 7}, 7.0),
        ({"Retry_After": "1000000000"}, 300.0),
        ({"Retry_After": "9" * 400}, 300.0),
        ({"Retry_After": "Thu, 01 Jan 1970 00:00:00 GMT"}, 0.0),
        ({"Retry_After": "Thu, 99 Foo 1970 00:00:00 GMT"}, None),
        ({}, None),
    ],
)
def test_retry_after_is_read(told: dict[str, Any], seconds: float | None) -> None:
    assert retry_after(Response(503, **told), 300) == seconds


def test_retry_after_is_read_as_every_binding_reads_it() -> None:
    for case in json.loads((VECTORS / "http_answers.json").read_text())["cases"]:
        most = int(case["config"]["max_retry_after_ns"]) / 1e9
        for ask in case["asks"]:
            told = {name: ask[name] for name in ("retry_after", "retry_after_ms", "date") if name in ask}
            wait = retry_after(Response(ask["status"], **told), most, int(ask.get("now_ms", 0)) / 1e3)
            expected = ask["retry_after_ns"]
            assert wait == (expected and pytest.approx(int(expected) / 1e9)), ask


def test_retry_after_of_a_response_whose_status_its_error_repeats() -> None:
    error = Response(429, Retry_After="7")
    error.status_code = 429  # type: ignore[attr-defined]
    assert retry_after(error, 300) == 7.0
    error = Response(0)
    error.code, error.headers = 503, {"retry-after": b"8"}  # type: ignore[attr-defined]
    assert retry_after(error, 300) == 8.0


def test_a_code_that_is_no_status_of_http_says_nothing() -> None:
    """As those of MongoDB: 112 is a conflict of writes, which is worth another attempt."""
    error = Exception("conflict")
    error.code = 112  # type: ignore[attr-defined]
    assert is_transient(error) and http_calls().error(error)[0] == "success"
    # As Google's clients have it, by HTTP and by gRPC.
    for status, transient in [(HTTPStatus.NOT_FOUND, False), (HTTPStatus.SERVICE_UNAVAILABLE, True)]:
        error.code = status  # type: ignore[attr-defined]
        assert is_transient(error) is transient
        assert http_calls().error(error)[0] == ("failure" if transient else "success")


def test_retry_after_as_a_date_and_as_an_attribute() -> None:
    date = format_datetime(datetime.now(timezone.utc) + timedelta(seconds=90), usegmt=True)
    told = retry_after(Response(503, Retry_After=date), 300)
    assert told is not None and 85 < told <= 90
    error = Exception()
    told_by: list[tuple[Any, float | None]] = [(3, 3.0), (timedelta(seconds=2), 2.0), (-1, 0.0), (math.nan, None)]
    for value, seconds in [*told_by, (math.inf, 300.0), ("3", None), (True, None)]:
        error.retry_after = value  # type: ignore[attr-defined]
        assert retry_after(error, 300) == seconds

    class Hostile(Exception):
        status = 503

        @property
        def headers(self) -> Any:
            raise RuntimeError("no")

    assert retry_after(Hostile(), 300) is None and is_transient(Hostile())


def in_steps(clock: ManualClock, work: Callable[[], Any], step: float = 0.05) -> tuple[Any, float]:
    """Runs work in a thread while the clock moves; what it gives, and how long it took by that clock."""
    begun, thread = clock.now_ns, Thread(work)
    while thread.is_alive():
        clock.advance(step)
        time.sleep(0.0005)
    return thread, (clock.now_ns - begun) / 1e9


def test_the_server_is_obeyed_as_far_as_allowed(clock: ManualClock) -> None:
    flaky = Flaky(1, Response(503, Retry_After="7"))
    thread, took = in_steps(clock, lambda: RetryPolicy(clock=clock).call(flaky))
    assert thread.finish() == 2 and took >= 7
    flaky = Flaky(1, Response(503, Retry_After="100000"))
    thread, took = in_steps(clock, lambda: RetryPolicy(max_retry_after=2, clock=clock).call(flaky))
    assert thread.finish() == 2 and 2 <= took < 100


def test_a_wait_that_would_pass_the_deadline_is_not_slept() -> None:
    clock = ManualClock()
    flaky = Flaky(math.inf, Response(503, Retry_After="7"))
    policy = RetryPolicy(deadline=5, clock=clock)
    for call in both(policy, flaky):
        with pytest.raises(Response) as raised:
            call()
        assert flaky.calls == 1
        assert (raised.value.attempts, raised.value.retry_after) == (1, 7.0)  # type: ignore[attr-defined]


def test_a_clock_that_steps_back_gives_a_deadline_time(clock: ManualClock) -> None:
    flaky = Flaky(3)

    def call() -> int:
        # Each attempt takes 0.9 s of the one, and then the clock steps back.
        clock.advance(0.9)
        if flaky.calls == 0:
            clock.set_ns(clock.now_ns - 60_000_000_000)
        return flaky()

    assert RetryPolicy(attempts=4, deadline=1, clock=clock, **QUICK).call(call) == 4


def test_an_empty_budget_ends_a_call() -> None:
    budget = RetryBudget(ratio=0.5, min_per_second=0, name="bank", scope="process")
    flaky = Flaky(math.inf, ConnectionError("reset"))
    for call in both(RetryPolicy(attempts=9, budget=budget, **QUICK), flaky):
        for _ in range(2 - budget.stats().deposited % 2):
            budget.deposit()
        with pytest.raises(RetryBudgetExceededError, match='"bank" is empty after 2 attempts') as raised:
            call()
        assert isinstance(raised.value.__cause__, ConnectionError) and raised.value.attempts == 2
        assert raised.value.retry_after == math.inf
        copy = pickle.loads(pickle.dumps(raised.value))
        assert (str(copy), copy.attempts, copy.retry_after) == (str(raised.value), 2, math.inf)


def test_the_budget_is_charged_before_the_wait(clock: ManualClock) -> None:
    budget = RetryBudget(min_per_second=0.1, clock=clock)
    policy = RetryPolicy(base=10, max_delay=10, jitter="none", budget=budget, clock=clock)
    waiting = Thread(lambda: policy.call(Flaky(1)))
    wait_until(lambda: budget.stats().withdrawn == 1)
    with pytest.raises(RetryBudgetExceededError):
        policy.call(Flaky(1))
    clock.advance(10)
    assert waiting.finish() == 2


def test_a_call_that_succeeds_pays_in_once() -> None:
    budget = RetryBudget()
    policy = RetryPolicy(budget=budget, **QUICK)
    policy.call(Flaky(0))
    run(policy.call_async(Flaky(2).async_))
    stats = budget.stats()
    assert (stats.deposited, stats.withdrawn) == (2, 2)
    assert pickle.loads(pickle.dumps(stats)) == stats


def test_a_call_that_starts_the_next_keeps_none_of_those_before() -> None:
    policy, around = RetryPolicy(budget=RetryBudget(), **QUICK), 0

    async def poll(left: int, done: asyncio.Future[None]) -> None:
        nonlocal around
        call = _paid._innermost.get()
        chain = 0
        while call is not None:
            call, chain = call[_paid.AROUND], chain + 1
        around = max(around, chain)
        if left == 0:
            done.set_result(None)
            return
        loop = asyncio.get_running_loop()
        loop.call_soon(lambda: loop.create_task(policy.call_async(poll, left - 1, done)))

    async def main() -> None:
        done = asyncio.get_running_loop().create_future()
        await policy.call_async(poll, 50, done)
        await done

    run(main())
    assert policy.budget is not None and policy.budget.stats().deposited == 51
    # Itself, and one that has ended while the next began.
    assert around <= 2


def test_a_call_that_is_thrown_away_is_none_of_the_call_that_is_under_way() -> None:
    budget = RetryBudget()
    policy = RetryPolicy(budget=budget, **QUICK)

    class Never:
        def __await__(self) -> Iterator[None]:
            yield

    async def never() -> None:
        await Never()

    left = policy.call_async(never)
    contextvars.copy_context().run(left.send, None)

    def inside() -> None:
        left.close()
        policy.call(Flaky(0))

    policy.call(inside)
    assert budget.stats().deposited == 2


def test_predicates_may_throw_and_choose() -> None:
    def odd(error: Exception) -> bool:
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine") as raised:
        RetryPolicy(retry_on=odd, **QUICK).call(Flaky(1))
    assert isinstance(raised.value.__context__, ConnectionError)
    flaky = Flaky(2, ConnectionError("again"))
    assert RetryPolicy(retry_on=[KeyError, lambda error: "again" in str(error)], **QUICK).call(flaky) == 3

    async def later(error: Exception) -> bool:
        return True

    with pytest.raises(TypeError, match="cannot be async"):
        RetryPolicy(retry_on=later, **QUICK).call(Flaky(1))


@pytest.mark.parametrize("wrong", [5, "ConnectionError", int, (ConnectionError, 3)])
def test_a_filter_is_checked_when_it_is_given(wrong: Any) -> None:
    with pytest.raises(TypeError, match="^retry_on: expected an exception class"):
        RetryPolicy(retry_on=wrong)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (http_calls, r"http makes a Classifier; call it, as in http\(\)$"),
        (lambda: True, r"expected a function of the exception, got .*<lambda>\(\)$"),
        ([OSError, lambda error, more: True], r"expected a function of the exception, got .*\(error, more\)$"),
    ],
)
def test_a_predicate_of_errors_is_checked_when_it_is_given(wrong: Any, says: str) -> None:
    for field, judge in [
        ("retry_on", RetryPolicy),
        ("failure_on", ClientThrottle),
        ("failure_on", CircuitBreaker),
        ("ignore", CircuitBreaker),
        ("unreached", Classifier),
    ]:
        with pytest.raises(TypeError, match=f"^{field}: {says}"):
            judge(**{field: wrong})


def test_bad_arguments() -> None:
    for wrong in ({"budget": 5}, {"clock": 5}, {"jitter": 5}, {"base": "1"}):
        with pytest.raises(TypeError, match=f"^{next(iter(wrong))}: expected"):
            RetryPolicy(**wrong)  # type: ignore[arg-type]
    numbers: list[dict[str, Any]] = [{"attempts": 0}, {"attempts": 2**100}, {"factor": 0.5}, {"factor": math.nan}]
    # In microseconds, the longest timedelta is more than 64 bits hold.
    names = ("base", "max_delay", "deadline", "max_retry_after")
    spans: list[dict[str, Any]] = [{name: timedelta.max} for name in names]
    for number in [*numbers, *spans, {"base": -1}, {"base": math.inf}]:
        with pytest.raises(ConfigError, match=f"^{next(iter(number))}: "):
            RetryPolicy(**number)
    with pytest.raises(ConfigError, match=r"^jitter: .*\"none\", \"full\""):
        RetryPolicy(jitter="fuller")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="did you mean 0.2"):
        RetryBudget(ratio=20)


def test_generators_and_what_is_no_function_are_refused() -> None:
    policy = RetryPolicy()

    def rows() -> Iterator[int]:
        yield 1

    async def rows_async() -> AsyncIterator[int]:
        yield 1

    async def one() -> int:
        return 1

    generators = [(rows, "generator"), (rows_async, "generator")]
    for wrong, says in [*generators, (int, "the class int"), (5, "a function, got int")]:
        for wrapper in (policy, ClientThrottle()):
            with pytest.raises(TypeError, match=says):
                wrapper(wrong)  # type: ignore[arg-type]
    for call in (policy.call, ClientThrottle().call):
        with pytest.raises(TypeError, match="generator"):
            call(rows)
        with pytest.raises(TypeError, match="call_async"):
            call(one)
    throttle = ClientThrottle(failure_on=Exception)
    for call_async, says in [(policy.call_async, "policy"), (throttle.call_async, "throttle")]:
        for wrong in (lambda: 5, rows):
            with pytest.raises(TypeError, match=rf"^call_async: the function is not async, .* `{says}.call\(…\)`$"):
                run(call_async(wrong))
    for wrong in (rows, rows_async, one):
        with pytest.raises(TypeError):
            throttle.call(wrong)
    # Mistakes of the caller say nothing of the backend.
    assert throttle.stats().accepted == throttle.stats().refused == 0


def test_contexts_reach_every_attempt() -> None:
    request: contextvars.ContextVar[str] = contextvars.ContextVar("request")
    seen: list[str] = []

    def note() -> None:
        seen.append(request.get())
        raise ConnectionError

    async def note_async() -> None:
        await asyncio.sleep(0)
        note()

    async def task(name: str) -> None:
        request.set(name)
        with pytest.raises(ConnectionError):
            await RetryPolicy(base=0.001, max_delay=0.001).call_async(note_async)

    async def main() -> None:
        await asyncio.gather(task("a"), task("b"))

    run(main())
    assert sorted(seen) == ["a"] * 3 + ["b"] * 3


def test_a_cancelled_task_ends_in_its_wait() -> None:
    budget = RetryBudget()

    async def main() -> None:
        flaky = Flaky(math.inf)
        policy = RetryPolicy(base=3600, max_delay=3600, jitter="none", budget=budget)
        task = asyncio.create_task(policy.call_async(flaky.async_))
        while not budget.stats().withdrawn:
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert flaky.calls == 1

    run(main())


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="signals of a thread")
def test_ctrl_c_ends_a_wait(ctrl_c: None) -> None:
    budget = RetryBudget()

    def interrupt() -> None:
        wait_until(lambda: budget.stats().withdrawn == 1)
        time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    flaky = Flaky(math.inf)
    thread = Thread(interrupt)
    with pytest.raises(KeyboardInterrupt):
        RetryPolicy(base=3600, max_delay=3600, jitter="none", budget=budget).call(flaky)
    thread.finish()
    assert flaky.calls == 1


def test_errors_of_earlier_attempts_are_not_dragged_along() -> None:
    errors = [ConnectionError(number) for number in range(3)]
    remaining = iter(errors)

    def fail() -> None:
        raise next(remaining)

    with pytest.raises(ConnectionError) as raised:
        RetryPolicy(**QUICK).call(fail)
    assert raised.value is errors[-1] and raised.value.__context__ is None


def test_a_refusal_tells_of_the_attempt_before() -> None:
    """That one may have done its work: an open circuit alone does not say that nothing was sent."""
    for policy in (RetryPolicy(**QUICK), RetryPolicy(retry_on=Exception, **QUICK)):
        flaky = Flaky(math.inf, TimeoutError("perhaps paid"))
        for call in both(policy, flaky):
            breaker = CircuitBreaker("bank", consecutive_failures=1)
            guarded = breaker(flaky)
            with pytest.raises(CircuitOpenError) as raised:
                policy.call(guarded)
            assert raised.value.__cause__ is flaky.error and raised.value.attempts == 2  # type: ignore[attr-defined]
            with pytest.raises(CircuitOpenError) as raised:
                policy.call(guarded)
            assert raised.value.__cause__ is None and raised.value.attempts == 1  # type: ignore[attr-defined]

            async def guarded_async(breaker: CircuitBreaker = breaker, flaky: Flaky = flaky) -> int:
                return await breaker.call_async(flaky.async_)

            breaker.reset()
            with pytest.raises(CircuitOpenError) as raised:
                run(policy.call_async(guarded_async))
            assert raised.value.__cause__ is flaky.error
            with pytest.raises(TimeoutError):
                call()


@pytest.mark.skipif(sys.version_info < (3, 11), reason="no exception groups")
def test_groups_of_errors() -> None:
    def attempts(policy: RetryPolicy, *members: Exception) -> int:
        error = ExceptionGroup("several", members)
        flaky = Flaky(math.inf, error)
        with pytest.raises(ExceptionGroup) as raised:
            policy.call(flaky)
        assert raised.value is error
        return flaky.calls

    lost, mistake, refusal = ConnectionResetError(), KeyError(), CircuitOpenError("bank", 5.0)
    policy = RetryPolicy(**QUICK)
    assert attempts(policy, lost, lost) == 3
    assert attempts(policy, lost, mistake) == 1, "what one fails by will come again"
    assert attempts(policy, lost, refusal) == attempts(policy, refusal) == 1
    chosen = RetryPolicy(retry_on=(OSError, KeyError), **QUICK)
    assert attempts(chosen, lost, mistake) == 3 and attempts(chosen, lost, ValueError()) == 1
    assert attempts(chosen, lost, refusal) == 1 and attempts(RetryPolicy(retry_on=Exception, **QUICK), refusal) == 1
    assert attempts(RetryPolicy(retry_on=http_calls(), **QUICK), lost, mistake) == 3
    assert retry_after(ExceptionGroup("several", [lost, RateLimitedError("no", 7.0), refusal]), 60) == 7.0
    throttle = ClientThrottle()
    for members in ((refusal,), (lost, mistake), (mistake,)):
        with pytest.raises(ExceptionGroup):
            throttle.call(Flaky(1, ExceptionGroup("several", members)))
    assert (throttle.stats().refused, throttle.stats().accepted) == (1, 1)


def test_an_error_that_takes_no_attributes_is_raised_as_it_is() -> None:
    class Sealed(Exception):
        def __setattr__(self, name: str, value: object) -> None:
            raise RuntimeError("sealed")

    with pytest.raises(Sealed):
        RetryPolicy(retry_on=Sealed, **QUICK).call(Flaky(math.inf, Sealed))


def test_each_attempt_is_a_call_of_the_breaker() -> None:
    breaker = CircuitBreaker("bank", consecutive_failures=2)
    flaky = Flaky(math.inf)
    with pytest.raises(CircuitOpenError):
        RetryPolicy(attempts=5, **QUICK).call(breaker.call, flaky)
    assert flaky.calls == 2


def test_delays() -> None:
    policy = RetryPolicy(attempts=5, base=1, factor=3, max_delay=20, jitter="none")
    assert list(policy.delays()) == [1.0, 3.0, 9.0, 20.0]
    assert all(0 <= wait < 0.1 * 2**n for n, wait in enumerate(RetryPolicy(attempts=6).delays()))
    endless = RetryPolicy(attempts=None, jitter="equal").delays()
    assert all(2.5 <= wait <= 5 for wait in itertools.islice(endless, 6, 3000))
    assert list(RetryPolicy(attempts=1).delays()) == []
    assert RetryPolicy(attempts=math.inf).attempts is None and RetryPolicy().attempts == 3


def test_the_preset_of_stamina() -> None:
    policy = RetryPolicy.stamina(base=0.5)
    assert policy.attempts == 10 and "deadline=45.0" in repr(policy) and "base=0.5" in repr(policy)


def test_threads_share_a_budget_and_a_policy() -> None:
    budget = RetryBudget(ratio=0.2, min_per_second=0.0)
    policy = RetryPolicy(attempts=4, budget=budget, **QUICK)
    calls = itertools.count()

    def fail() -> None:
        next(calls)
        raise ConnectionError

    def work() -> None:
        for _ in range(200):
            with pytest.raises((ConnectionError, RetryBudgetExceededError)):
                policy.call(fail)

    for thread in [Thread(work) for _ in range(8)]:
        thread.finish()
    attempts, stats = next(calls), budget.stats()
    assert attempts == 1600 + stats.withdrawn and stats.deposited == 1600
    assert 100 <= stats.withdrawn <= 320 + 1


def test_processes_share_a_budget_and_a_throttle(host: str) -> None:
    budget = RetryBudget(min_per_second=0.001, ttl=3000, name="bank", scope=host)
    throttle = ClientThrottle(name="search", scope=host)
    lines = f"budget = RetryBudget(min_per_second=0.001, ttl=3000, name='bank', scope={host!r})\n"
    lines += f"throttle = ClientThrottle(name='search', scope={host!r})"
    with Script() as other:
        other.run(lines)
        assert other.ask("[budget.try_withdraw() for _ in range(3)]") == [True, True, True]
        other.run("for _ in range(30): throttle.refused()")
        assert other.ask("throttle.probability") == throttle.probability == 0.9
        assert not budget.try_withdraw() and budget.stats().withdrawn == 3
    with pytest.raises(TidegateError, match="declared as 0.2 retries a call"):
        RetryBudget(name="bank", scope=host)


class Server(http.server.BaseHTTPRequestHandler):
    """Fails two of three requests: with a 503 that says when, and by closing the connection."""

    asked = itertools.count()

    def do_GET(self) -> None:
        number = next(self.asked)
        if number % 3 == 1:
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return
        self.send_response(503 if number % 3 == 0 else 200)
        if number % 3 == 0:
            self.send_header("Retry-After", "0.01")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


def test_a_flaky_server_over_http() -> None:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        url = f"http://127.0.0.1:{server.server_port}/"

        @RetryPolicy(attempts=3, base=0.001, budget=RetryBudget())
        def ask(path: str) -> int:
            with urllib.request.urlopen(url + path, timeout=10) as response:
                return int(response.status)

        assert [ask("") for _ in range(4)] == [200] * 4
        with pytest.raises(urllib.error.HTTPError) as raised:
            RetryPolicy(attempts=1).call(urllib.request.urlopen, url)
        raised.value.close()
        assert raised.value.code == 503 and raised.value.retry_after == 0.01  # type: ignore[attr-defined]
    finally:
        server.shutdown()
        server.server_close()


class Layer(http.server.ThreadingHTTPServer):
    """A service that asks the next one, if there is one; the last refuses all."""

    daemon_threads = True

    def __init__(self, policy: RetryPolicy, then: Layer | None) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.policy, self.then, self.asked = policy, then, itertools.count()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def ask(self) -> None:
        """As its callers do, by their policy."""
        with contextlib.suppress(urllib.error.HTTPError, RetryBudgetExceededError):
            self.policy.call(fetch, f"http://127.0.0.1:{self.server_port}/")


def fetch(url: str) -> None:
    try:
        urllib.request.urlopen(url, timeout=20).close()
    except urllib.error.HTTPError as error:
        error.close()
        raise


class Handler(http.server.BaseHTTPRequestHandler):
    server: Layer

    def do_GET(self) -> None:
        next(self.server.asked)
        if self.server.then is not None:
            self.server.then.ask()
        self.send_response(503)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


@pytest.mark.parametrize("budgets", [False, True])
def test_three_layers_that_retry(budgets: bool) -> None:
    def policy() -> RetryPolicy:
        budget = RetryBudget(ratio=0.2, min_per_second=0) if budgets else None
        return RetryPolicy(attempts=3, budget=budget, **QUICK)

    last = Layer(policy(), None)
    middle = Layer(policy(), last)
    first = Layer(policy(), middle)
    calls = 20
    for _ in range(calls):
        first.ask()
    asked = next(last.asked)
    for layer in (first, middle, last):
        layer.shutdown()
        layer.server_close()
    if budgets:
        # A fifth more at each layer, and what each can save up: one retry.
        most = float(calls)
        for _ in range(3):
            most = most * 1.2 + 1
        assert calls <= asked <= most
    else:
        assert asked == 27 * calls


def test_a_throttle_rejects_by_chance(clock: ManualClock) -> None:
    throttle = ClientThrottle(max_rejection=1, name="search", scope="process", clock=clock)
    for _ in range(400):
        with pytest.raises((ConnectionError, ThrottledError)):
            throttle.call(Flaky(math.inf))
    stats = throttle.stats()
    assert stats.forced == 1 and stats.rejected > 300 and throttle.probability > 0.9
    with pytest.raises(ThrottledError, match='"search" rejected a call: try again in 1 s') as raised:
        for _ in range(1000):
            throttle.call(Flaky(0))
    assert 0 < raised.value.retry_after <= 1
    clock.advance(1)
    before = throttle.stats().forced
    while throttle.stats().forced == before:
        if throttle.try_acquire():
            throttle.accepted()
    clock.advance(31)
    assert throttle.probability == 0.0 and pickle.loads(pickle.dumps(stats)) == stats


@pytest.mark.parametrize(
    ("settings", "least", "most"),
    [
        ({"window": 120, "max_rejection": 1, "force_pass": 3600}, 400, 400),
        ({"window": 120}, 180, 230),
        ({"window": 30}, 47, 56),
        ({"window": 10}, 13, 22),
    ],
    ids=["the formula alone", "120 s", "30 s", "10 s"],
)
def test_a_throttle_comes_back_from_an_outage(settings: dict[str, Any], least: float, most: float) -> None:
    clock = ManualClock(10_000_000_000)
    throttle = ClientThrottle(**settings, clock=clock)
    rate, begin, end, watched = 200, 30, 150, 400
    rejected = 0.0
    for number in range(rate * (end + watched)):
        clock.advance(1 / rate)
        at = number / rate
        if throttle.try_acquire():
            report = throttle.refused if begin <= at < end else throttle.accepted
            report()
        else:
            rejected = at + 1 / rate - end
    # When it rejected last, in seconds after the backend came back.
    assert least <= rejected <= most


def test_what_a_throttle_takes_for_a_refusal() -> None:
    def counts(error: BaseException | None, **settings: Any) -> tuple[int, int]:
        throttle = ClientThrottle(**settings)
        flaky = Flaky(0 if error is None else math.inf, error or Exception)
        in_task = lambda: run(throttle.call_async(flaky.async_))  # noqa: E731
        for call in (lambda: throttle.call(flaky), in_task, throttle(flaky)):
            try:
                call()
            except BaseException as raised:
                # asyncio of 3.10 makes a CancelledError anew.
                assert type(raised) is type(error)
        stats = throttle.stats()
        return stats.accepted, stats.refused

    assert counts(None) == (3, 0)
    assert counts(TimeoutError()) == counts(Response(429)) == (0, 3)
    assert counts(Response(404)) == counts(ValueError()) == (3, 0)
    assert counts(RateLimitedError()) == counts(CircuitOpenError("it", 1.0)) == (0, 0)
    cancelled = concurrent.futures.CancelledError()
    for judge in (None, Exception, http_calls()):
        assert counts(cancelled, failure_on=judge) == counts(asyncio.CancelledError(), failure_on=judge) == (0, 0)
    assert counts(ValueError(), failure_on=ValueError) == (0, 3)
    assert counts(TimeoutError(), failure_on=ValueError) == (3, 0)
    assert counts(KeyError(), failure_on=Classifier(ignore=KeyError)) == (0, 0)


def test_a_throttle_judges_results_by_a_classifier() -> None:
    """As a breaker and a retry by the same one do."""

    async def later(value: object) -> object:
        return value

    def identity(value: object) -> object:
        return value

    refused = Response(503)
    judges = [http_calls(), [KeyError, http_calls()], None, OSError]
    for judge, counts in zip(judges, [(1, 1), (1, 1), (2, 0), (2, 0)], strict=True):
        for is_async in (False, True):
            throttle = ClientThrottle(failure_on=judge)
            for value in (refused, 5):
                given = run(throttle.call_async(later, value)) if is_async else throttle.call(identity, value)
                assert given is value
            assert (throttle.stats().accepted, throttle.stats().refused) == counts
    throttle = ClientThrottle(failure_on=Classifier(failure_result=lambda value: 1 / value > 0))
    with pytest.raises(ZeroDivisionError):
        throttle.call(identity, 0)
    assert throttle.stats().refused == 1
    # Wrong arguments are nobody's answer.
    throttle = ClientThrottle()
    for _ in range(2):
        with pytest.raises(TypeError):
            throttle.call(identity)  # type: ignore[call-arg]
    assert (throttle.stats().accepted, throttle.stats().refused) == (0, 0)


def test_switches() -> None:
    off = RetryBudget(min_per_second=0, enabled=False)
    assert all(off.try_withdraw() for _ in range(10)) and off.stats().withdrawn == 0
    dry = RetryBudget(min_per_second=0, dry_run=True)
    assert dry.try_withdraw() and dry.stats().would_deny == 1
    throttle = ClientThrottle(min_calls=1, dry_run=True)
    for _ in range(50):
        throttle.refused()
    assert all(throttle.try_acquire() for _ in range(50)) and throttle.stats().would_reject > 0


class Answer:
    """A response that is returned, as httpx, requests and aiohttp do."""

    def __init__(self, status: int, **headers: str) -> None:
        self.status_code, self.headers, self.closed = status, headers, 0

    def close(self) -> None:
        self.closed += 1


class AsyncAnswer(Answer):
    async def aclose(self) -> None:
        await asyncio.sleep(0)
        self.closed += 1

    def close(self) -> None:
        raise RuntimeError("for threads alone")


def answers(policy: RetryPolicy, *given: Any) -> Iterator[tuple[Any, list[Any]]]:
    """What a call gives that is answered so, in a thread and in a task, and the answers that were used up."""
    for is_async in (False, True):
        used: list[Any] = []

        def ask(used: list[Any] = used) -> Any:
            used.append(given[len(used)])
            return used[-1]

        async def ask_async(ask: Callable[[], Any] = ask) -> Any:
            return ask()

        yield run(policy.call_async(ask_async)) if is_async else policy.call(ask), used


def test_results_are_retried_by_a_classifier() -> None:
    policy = RetryPolicy(retry_on=(ValueError, http_calls()), **QUICK)
    for result, used in answers(policy, Answer(503), AsyncAnswer(500), Answer(200)):
        assert result.status_code == 200 and len(used) == 3
    # Another status, and what is no answer, is a result; without a classifier all are.
    for result, used in answers(policy, Answer(404)):
        assert result.status_code == 404 and len(used) == 1
    for result, used in answers(RetryPolicy(**QUICK), Answer(503)):
        assert result.status_code == 503 and len(used) == 1


def test_the_last_failed_result_is_returned() -> None:
    budget = RetryBudget(ratio=0, min_per_second=0)
    for policy, attempts in [
        (RetryPolicy(retry_on=http_calls(), **QUICK), 3),
        (RetryPolicy(retry_on=http_calls(), deadline=5, clock=ManualClock()), 1),
        (RetryPolicy(retry_on=http_calls(), budget=budget, **QUICK), None),
    ]:
        given = [AsyncAnswer(503, **{"Retry-After": "7"}) for _ in range(3)]
        if attempts == 3:
            given = [AsyncAnswer(503) for _ in range(3)]
        for result, used in answers(policy, *given):
            assert result is used[-1] and result.status_code == 503 and len(used) in (attempts, 1, 2)
            assert result.closed == 0
            if attempts is not None:
                assert len(used) == attempts
    assert budget.stats().denied > 0


def test_an_answer_that_is_retried_is_closed() -> None:
    policy = RetryPolicy(retry_on=http_calls(), **QUICK)
    first = Answer(503)
    for result, _ in answers(policy, first, Answer(200)):
        assert result.closed == 0
    assert first.closed == 2
    later = AsyncAnswer(503)
    for result, used in answers(policy, later, Answer(200)):
        assert len(used) == 2
    # In a task alone: a thread cannot await it.
    assert later.closed == 1


def test_what_a_classifier_says_of_the_wait_counts(clock: ManualClock) -> None:
    asks = Classifier(failure_result=lambda rows: not rows, retry_after=lambda failed: 7)
    for flaky in (iter([[], [1]]).__next__, Flaky(1, ConnectionError())):
        thread, took = in_steps(clock, lambda: RetryPolicy(retry_on=asks, clock=clock).call(flaky))
        thread.finish()
        assert 7 <= took < 60
    thread, took = in_steps(
        clock, lambda: RetryPolicy(retry_on=asks, max_retry_after=1, clock=clock).call(iter([[], [1]]).__next__)
    )
    assert thread.finish() == [1] and 1 <= took < 7


def test_a_predicate_of_results_that_raises() -> None:
    def odd(result: Any) -> bool:
        raise LookupError("mine")

    policy = RetryPolicy(retry_on=Classifier(failure_result=odd), **QUICK)
    with pytest.raises(LookupError, match="mine"):
        policy.call(list)
    with pytest.raises(LookupError, match="mine"):
        run(policy.call_async(asyncio.sleep, 0, 1))
