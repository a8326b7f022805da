"""Fallback and Resilience: what stands in for a call, and everything round one call in its order."""

from __future__ import annotations

import asyncio
import contextvars
import itertools
import json
import math
import os
import pathlib
import signal
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import aiohttp
import pytest
from conftest import Thread, run, wait_until
from faulty import faulty
from tidegate import (
    Alternative,
    BoundedQueue,
    CircuitBreaker,
    Classifier,
    ClientThrottle,
    CircuitOpenError,
    ConcurrencyLimiter,
    ConcurrencyLimitError,
    ConfigError,
    Deadline,
    Fallback,
    ManualClock,
    Outcome,
    Resilience,
    RetryBudget,
    RetryBudgetExceededError,
    RetryPolicy,
    ThrottledError,
    Timeout,
    TimeoutExceededError,
    cached,
    http,
)

CASES = json.loads((pathlib.Path(__file__).parents[2] / "tests" / "resilience" / "policies.json").read_text())["cases"]


class Answer:
    """A response that is returned."""

    def __init__(self, status: int) -> None:
        self.status, self.headers = status, None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Answer) and self.status == other.status


class Declined(Exception):
    def __init__(self) -> None:
        self.response = Answer(404)


ERRORS: dict[str, type[BaseException]] = {
    "reset": ConnectionResetError,
    "declined": Declined,
    "mistake": TypeError,
    "cancelled": asyncio.CancelledError,
    "open": CircuitOpenError,
    "timeout": TimeoutExceededError,
    "budget": RetryBudgetExceededError,
    "full": ConcurrencyLimitError,
    "throttled": ThrottledError,
}


def value_of(value: Any) -> Any:
    return Answer(value["status"]) if isinstance(value, dict) and "status" in value else value


class Played:
    """A function that does one act after the other."""

    def __init__(self, acts: list[dict[str, Any]], clock: ManualClock) -> None:
        self.acts, self.clock = list(acts), clock

    def end(self, act: dict[str, Any]) -> Any:
        if "raise" in act:
            raise ERRORS[act["raise"]]()
        return value_of(act["return"])

    def sync(self, key: str = "") -> Any:
        act = self.acts.pop(0)
        self.clock.advance(act.get("takes_ms", 0) / 1e3)
        return self.end(act)

    async def async_(self, key: str = "") -> Any:
        act = self.acts.pop(0)
        if "takes_ms" in act:
            end = self.clock.now_ns + act["takes_ms"] * 1_000_000
            self.clock.advance(act["takes_ms"] / 1e3)
            # Whoever counts this time looks at the clock first.
            for _ in range(20):
                await asyncio.sleep(0.001)
            assert self.clock.now_ns >= end
        return self.end(act)


def stale_of(results: list[Any]) -> Callable[[Any], bool]:
    def is_stale(result: Any) -> bool:
        return (result if isinstance(result, str) else {"status": getattr(result, "status", None)}) in results

    return is_stale


def resilience_of(
    policies: dict[str, Any], clock: ManualClock, is_async: bool
) -> tuple[Resilience[Any], dict[str, Any]]:
    parts: dict[str, Any] = {}
    slow, stale = policies.get("slow_ms"), policies.get("slow_results")

    def judges() -> Classifier:
        return http(slow=stale and stale_of(stale), slow_call_duration=slow and slow / 1e3)

    if "attempts" in policies:
        budget = RetryBudget(**policies["budget"]) if "budget" in policies else None
        judge = judges() if policies.get("retry_on") == "http" else None
        wait = policies.get("base_ms", 0) / 1e3
        parts["retry"] = RetryPolicy(
            policies["attempts"], base=wait, max_delay=wait, jitter="none", budget=budget, retry_on=judge
        )
    if "breaker" in policies:
        classifier = judges() if policies.get("classifier") == "http" else None
        parts["breaker"] = CircuitBreaker(
            "it", consecutive_failures=policies["breaker"], classifier=classifier, clock=clock if slow else None
        )
    if "throttle" in policies:
        parts["throttle"] = ClientThrottle(max_rejection=1, clock=clock)
        for _ in range(policies["throttle"]):
            parts["throttle"].refused()
    if "concurrency" in policies:
        parts["concurrency"] = ConcurrencyLimiter(policies["concurrency"])
    for name, ms in [("total_timeout", "total_ms"), ("attempt_timeout", "attempt_ms")]:
        if ms in policies:
            parts[name] = Timeout(policies[ms] / 1e3, clock=clock)
    stands_in: dict[str, Any] = {}
    if "cached" in policies:
        given = policies["cached"]
        stands_in["cached"] = cached(
            given["max_age_ms"] / 1e3, given.get("max_entries", 1024), lambda key="": key, clock=clock
        )
    if "static" in policies:
        stands_in["static"] = policies["static"]
    if "alternatives" in policies:
        played = [(one["name"], Played(one["acts"], clock)) for one in policies["alternatives"]]
        stands_in["alternatives"] = [Alternative(one.async_ if is_async else one.sync, name) for name, one in played]
    if "queue" in policies:
        stands_in["queue"] = BoundedQueue(policies["queue"], high_watermark=1.0)
    if stands_in:
        judges = {"http": http(), "reset": ConnectionResetError, None: None}
        order, judge = policies.get("order"), judges[policies.get("fallback_on")]
        parts["fallback"] = Fallback(**stands_in, order=order, fallback_on=judge)
    return Resilience(**parts), parts


@pytest.mark.parametrize(
    ("case", "is_async"),
    # A thread cannot be stopped.
    [
        pytest.param(case, is_async, id=case["name"] + (", async" if is_async else ""))
        for case in CASES
        for is_async in (False, True)
        if is_async or not case.get("async_only")
    ],
)
def test_policies(case: dict[str, Any], is_async: bool, clock: ManualClock) -> None:
    resilience, parts = resilience_of(case["with"], clock, is_async)
    for step in case["steps"]:
        clock.set_ns(clock.now_ns + step.get("advance_ms", 0) * 1_000_000)
        played = Played(step["acts"], clock)
        key = (step["key"],) if "key" in step else ()

        def call(played: Played = played, key: tuple[str, ...] = key) -> Any:
            if is_async:
                return run(resilience.call_async(played.async_, *key))
            return resilience.call(played.sync, *key)

        if "raises" in step:
            began = time.monotonic()
            with pytest.raises(ERRORS[step["raises"]]) as raised:
                call()
            error: Any = raised.value
            assert not step.get("at_once") or time.monotonic() - began < 10
            assert "cause" not in step or type(error.__cause__) is ERRORS[step["cause"]]
        else:
            outcome = call()
            error = None
            if "fallback" in parts:
                assert isinstance(outcome, Outcome) and outcome.source == step["source"]
                assert outcome.age == (None if "age_ms" not in step else pytest.approx(step["age_ms"] / 1e3))
                error = outcome.error
                assert type(error) is ERRORS.get(step.get("error", ""), type(None))
                outcome = outcome.value
            assert outcome == value_of(step.get("value"))
        if "attempts" in step:
            assert error.attempts == step["attempts"]
        assert played.acts == []
        if "breaker" in step:
            breaker = parts["breaker"]
            assert breaker.state == step["breaker"]["state"]
            assert breaker.state == "open" or breaker.stats().failed == step["breaker"]["failed"]
            assert breaker.stats().slow == step["breaker"].get("slow", 0)
        if "throttle" in step:
            heard = parts["throttle"].stats()
            refused = heard.refused - case["with"]["throttle"]
            assert {"accepted": heard.accepted, "refused": refused} == step["throttle"]
    for part in parts.values():
        if isinstance(part, ConcurrencyLimiter):
            assert part.stats().in_use == 0


def all_parts() -> dict[str, Any]:
    return {
        "fallback": Fallback(static="plain"),
        "total_timeout": 60,
        "retry": RetryPolicy(3, base=0, max_delay=0),
        "breaker": CircuitBreaker("it", consecutive_failures=9),
        "throttle": ClientThrottle(),
        "concurrency": ConcurrencyLimiter(1),
        "attempt_timeout": timedelta(seconds=5),
    }


def test_the_order_in_which_they_are_given_does_not_count() -> None:
    for names in itertools.islice(itertools.permutations(all_parts()), 0, 5040, 117):
        parts = all_parts()
        resilience = Resilience(**{name: parts[name] for name in names})
        assert list(resilience._parts) == list(parts)
        seen: list[Any] = []

        def ask(parts: dict[str, Any] = parts, seen: list[Any] = seen) -> None:
            # Each attempt under its own time and permit.
            current = Deadline.current()
            assert current is not None and current.remaining() <= 5 and parts["concurrency"].stats().in_use == 1
            seen.append(parts["breaker"].stats().failed)
            raise ConnectionError

        outcome = resilience.call(ask)
        assert (outcome.source, seen, parts["breaker"].stats().failed) == ("static", [0, 1, 2], 3)
        assert Deadline.current() is None and parts["concurrency"].stats().in_use == 0


def test_a_timeout_with_both_is_used_where_each_belongs(clock: ManualClock) -> None:
    left: list[float] = []

    def note() -> None:
        left.append(Deadline.current().remaining())  # type: ignore[union-attr]

    both = Timeout(9, attempt=2, clock=clock)
    Resilience(total_timeout=both).call(note)
    Resilience(total_timeout=both, attempt_timeout=Timeout(attempt=1, clock=clock)).call(note)
    Resilience(total_timeout=Timeout(3, clock=clock), attempt_timeout=5).call(note)
    assert left == [2, 1, 3]
    assert Resilience(total_timeout=math.inf, attempt_timeout=math.inf).call(lambda: 1) == 1


@pytest.mark.parametrize("attempt", [None, 60, 2])
def test_a_call_that_hangs_opens_the_circuit_by_its_total_time(attempt: int | None, clock: ManualClock) -> None:
    breaker = CircuitBreaker("bank", consecutive_failures=3)
    limit = None if attempt is None else Timeout(attempt=attempt, clock=clock)
    bank = Resilience(total_timeout=Timeout(2, clock=clock), breaker=breaker, attempt_timeout=limit)

    async def hang() -> None:
        await asyncio.sleep(3600)

    async def main() -> None:
        for _ in range(3):
            task = asyncio.create_task(bank.call_async(hang))
            await asyncio.sleep(0)
            clock.advance(2)
            with pytest.raises(TimeoutExceededError):
                await task
        assert breaker.state == "open"
        # The caller's own cancellation counts for nothing.
        breaker.reset()
        task = asyncio.create_task(bank.call_async(hang))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert breaker.stats().calls == 0

    run(main())


def test_a_wrong_call_is_no_failure_of_the_dependency() -> None:
    breaker = CircuitBreaker("bank", consecutive_failures=1)
    bank = Resilience(breaker=breaker, attempt_timeout=60, total_timeout=60)

    def give() -> Iterator[int]:
        yield 1

    async def later(number: int) -> int:
        return number

    for call in (lambda: bank.call(give), lambda: bank.call(later, 1), lambda: bank.call(len, 1, 2)):
        with pytest.raises(TypeError):
            call()
    for work in (bank.call_async(len, ""), bank.call_async(give), bank.call_async(later)):  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            run(work)
    assert breaker.state == "closed" and breaker.stats().calls == 0
    # One of the function's own is one.
    with pytest.raises(TypeError):
        bank.call(lambda: len(5))  # type: ignore[arg-type]
    assert breaker.state == "open"


def test_without_any_policy_it_is_the_function() -> None:
    assert Resilience().call(lambda one, *, two: one + two, 1, two=2) == 3
    assert run(Resilience().call_async(asyncio.sleep, 0, 5)) == 5


def test_a_throttle_is_told_what_a_breaker_is() -> None:
    def throws(_: BaseException) -> bool:
        raise RuntimeError("mine")

    def lost() -> None:
        raise ConnectionError

    throttle, breaker = ClientThrottle(failure_on=throws), CircuitBreaker("it", min_calls=20)
    resilience = Resilience(breaker=breaker, throttle=throttle, concurrency=ConcurrencyLimiter(1))

    def heard() -> list[int]:
        stats = throttle.stats()
        return [stats.accepted, stats.refused, breaker.stats().calls, breaker.stats().failed]

    resilience.call(lambda: 1)
    # A predicate that raises counts as a refusal, and keeps nothing from the other.
    with pytest.raises(RuntimeError, match="mine"):
        resilience.call(lost)
    assert heard() == [1, 1, 2, 1]

    async def main() -> None:
        async def one() -> int:
            return 1

        hangs = asyncio.create_task(resilience.call_async(asyncio.sleep, 100))
        await asyncio.sleep(0)
        # Neither a call without its turn nor a caller who is gone says anything.
        with pytest.raises(ConcurrencyLimitError):
            await resilience.call_async(one)
        hangs.cancel()
        await asyncio.wait([hangs])
        assert hangs.cancelled()

    run(main())
    assert heard() == [1, 1, 2, 1]


def test_a_refusal_of_the_concurrency_limit_is_not_the_dependencys() -> None:
    breaker, limiter = CircuitBreaker("it", consecutive_failures=1), ConcurrencyLimiter(1)
    resilience = Resilience(breaker=breaker, concurrency=limiter)
    with limiter.acquire(), pytest.raises(ConcurrencyLimitError):
        resilience.call(lambda: 1)
    assert breaker.state == "closed" and breaker.stats().calls == 0
    assert resilience.call(lambda: 1) == 1 and breaker.stats().calls == 1


@pytest.mark.parametrize("where", ["attempt", "backoff", "permit", "fallback"])
def test_a_cancelled_call_gives_everything_back(where: str) -> None:
    breaker, limiter = CircuitBreaker("it", window_calls=5), ConcurrencyLimiter(1, max_wait=3600)
    budget = RetryBudget()

    async def ask() -> None:
        reached.append("attempt")
        if where == "attempt":
            await asyncio.sleep(3600)
        raise ConnectionError

    async def other() -> None:
        reached.append("fallback")
        await asyncio.sleep(3600)

    reached: list[str] = []
    resilience = Resilience(
        fallback=Fallback(alternatives=[Alternative(other, "other")]),
        retry=RetryPolicy(2, base=3600 if where == "backoff" else 0, max_delay=3600, jitter="none", budget=budget),
        breaker=breaker,
        concurrency=limiter,
        total_timeout=7200,
        attempt_timeout=7200,
    )

    async def main() -> None:
        permit = limiter.acquire() if where == "permit" else None
        task = asyncio.create_task(resilience.call_async(ask))
        for _ in range(200):
            await asyncio.sleep(0)
        expected = {"permit": [], "fallback": ["attempt", "attempt", "fallback"]}
        assert reached == expected.get(where, ["attempt"])
        assert budget.stats().withdrawn == (where in ("backoff", "fallback"))
        assert task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        if permit is not None:
            permit.release()
        assert Deadline.current() is None and limiter.stats().in_use == 0
        # A cancelled call says nothing of the dependency.
        assert breaker.stats().calls == reached.count("attempt") - (where == "attempt")

    run(main())


def test_the_total_time_ends_a_wait_for_a_permit(clock: ManualClock) -> None:
    limiter = ConcurrencyLimiter(1, max_wait=3600)
    breaker = CircuitBreaker("it", consecutive_failures=1)
    resilience = Resilience(total_timeout=Timeout(2, clock=clock), breaker=breaker, concurrency=limiter)

    async def main() -> None:
        with limiter.acquire():
            task = asyncio.create_task(resilience.call_async(asyncio.sleep, 0))
            await asyncio.sleep(0.005)
            clock.advance(2)
            with pytest.raises(TimeoutExceededError):
                await task
        assert limiter.stats().in_use == 0 and breaker.state == "closed"

    run(main())


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="signals of a thread")
@pytest.mark.parametrize("policies", ["retry", "all"])
def test_ctrl_c_in_a_backoff_is_not_replaced(policies: str, ctrl_c: None) -> None:
    budget = RetryBudget()
    retry = RetryPolicy(base=3600, max_delay=3600, jitter="none", budget=budget)
    parts = {} if policies == "retry" else {**all_parts(), "total_timeout": 86400}
    resilience: Any = Resilience(**{**parts, "retry": retry})

    def interrupt() -> None:
        wait_until(lambda: budget.stats().withdrawn == 1)
        time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    def fails() -> None:
        raise ConnectionError

    thread = Thread(interrupt)
    with pytest.raises(KeyboardInterrupt):
        resilience.call(fails)
    thread.finish()
    assert Deadline.current() is None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_fork_inside_a_retry_ends_on_both_sides() -> None:
    parts = all_parts()
    parts["fallback"] = Fallback(static="plain", cached=cached())
    resilience: Any = Resilience(**parts)
    pids: list[int] = []

    def forks() -> str:
        if not pids:
            pids.append(os.fork())
            raise ConnectionError
        return "child" if pids[0] == 0 else "parent"

    try:
        outcome = resilience.call(forks)
        again = resilience.call(lambda: 5)
    except BaseException:
        if pids == [0]:
            os._exit(5)
        raise
    if pids == [0]:
        fine = (outcome.value, again.value, parts["concurrency"].stats().in_use) == ("child", 5, 0)
        os._exit(0 if fine and parts["breaker"].stats().failed == 1 else 3)
    assert os.waitpid(pids[0], 0)[1] == 0 and (outcome.value, outcome.source) == ("parent", "primary")


def test_contexts_reach_each_attempt_and_the_fallback() -> None:
    request: contextvars.ContextVar[str] = contextvars.ContextVar("request")
    seen: list[str] = []

    async def ask() -> None:
        await asyncio.sleep(0)
        seen.append(request.get())
        raise ConnectionError

    async def task(name: str) -> Any:
        request.set(name)
        fallback = Fallback(static=lambda error: "static " + request.get())
        return (await Resilience(**{**all_parts(), "fallback": fallback}).call_async(ask)).value

    async def main() -> Any:
        return await asyncio.gather(task("a"), task("b"))

    assert run(main()) == ["static a", "static b"] and sorted(seen) == ["a"] * 3 + ["b"] * 3


def test_decorators_and_detached_methods() -> None:
    class Bank:
        calls = 0

        @Resilience(retry=RetryPolicy(base=0, max_delay=0), total_timeout=60)
        def charge(self, amount: int) -> int:
            self.calls += 1
            if self.calls < 3:
                raise ConnectionError
            return amount

        @Resilience(fallback=Fallback(static=0))
        async def refund(self, amount: int) -> int:
            raise ConnectionError

    bank = Bank()
    detached = bank.charge
    assert detached(7) == 7 and bank.calls == 3 and bank.charge.__name__ == "charge"
    assert run(bank.refund(7)).value == 0 and asyncio.iscoroutinefunction(bank.refund)
    call = Resilience(attempt_timeout=5).call
    assert call(lambda: 5) == 5


def test_mistakes_of_the_call() -> None:
    def charge(order: str) -> int:
        return 1

    async def charge_async(order: str) -> int:
        return 1

    def rows() -> Iterator[int]:
        yield 1

    retry = RetryPolicy(retry_on=Exception, base=0, max_delay=0)
    for parts in ({}, {**all_parts(), "retry": retry}):
        resilience: Any = Resilience(**parts)
        with pytest.raises(TypeError, match="missing 1 required") as raised:
            resilience.call(charge)
        assert getattr(raised.value, "attempts", 1) == 1
        with pytest.raises(TypeError, match="missing 1 required"):
            run(resilience.call_async(charge_async))
        with pytest.raises(TypeError, match="the function is async"):
            resilience.call(charge_async, "7")
        with pytest.raises(TypeError, match=r"is not async, it gave int; use `resilience.call\(…\)`"):
            run(resilience.call_async(charge, "7"))
        with pytest.raises(TypeError, match="gave a generator"):
            resilience.call(rows)
        for wrong, says in [(rows, "a generator runs"), (int, "the class int"), (5, "decorates a function, got int")]:
            with pytest.raises(TypeError, match=says):
                resilience(wrong)


def test_bad_arguments() -> None:
    for name, kind in [
        ("fallback", "Fallback"),
        ("retry", "RetryPolicy"),
        ("breaker", "CircuitBreaker"),
        ("concurrency", "ConcurrencyLimiter"),
    ]:
        with pytest.raises(TypeError, match=f"^{name}: expected a {kind}, got int"):
            Resilience(**{name: 5})  # type: ignore[call-overload]
    for name in ("total_timeout", "attempt_timeout"):
        for wrong in (math.nan, -1):
            with pytest.raises(ConfigError, match=f"^{name}: must be 0 or more seconds, got"):
                Resilience(**{name: wrong})  # type: ignore[call-overload]
        with pytest.raises(ConfigError, match=f"^{name}: must be more than 0 seconds, got 0.0"):
            Resilience(**{name: 0})  # type: ignore[call-overload]
        for wrong_type in (True, "5", [5]):
            with pytest.raises(TypeError, match=f"^{name}: expected seconds"):
                Resilience(**{name: wrong_type})  # type: ignore[call-overload]
    with pytest.raises(ConfigError, match="^total_timeout: give seconds, or a Timeout with total"):
        Resilience(total_timeout=Timeout(attempt=5))
    with pytest.raises(TypeError):
        Resilience(5)  # type: ignore[call-overload]
    assert repr(Resilience(attempt_timeout=2)) == "Resilience(attempt_timeout=Timeout(attempt=2.0))"


@pytest.mark.parametrize("ill", ["hang", "slow 20", "reset", 503])
def test_a_real_server_that_is_ill(ill: str | int, clock: ManualClock) -> None:
    breaker = CircuitBreaker("it", consecutive_failures=3, cooldown=30, classifier=http(), clock=clock)
    bank = Resilience(
        fallback=Fallback(static="plain", fallback_on=http()),
        total_timeout=Timeout(20, clock=clock),
        retry=RetryPolicy(2, base=0, max_delay=0, retry_on=http()),
        breaker=breaker,
        concurrency=ConcurrencyLimiter(4),
        attempt_timeout=Timeout(attempt=2, clock=clock),
    )

    async def main() -> None:
        async with aiohttp.ClientSession() as session:

            async def ask() -> aiohttp.ClientResponse:
                # No GET, which aiohttp repeats by itself.
                async with session.post(server.url) as response:
                    await response.read()
                    return response

            async def call() -> Outcome[Any]:
                task, seen = asyncio.ensure_future(bank.call_async(ask)), len(server.asked)
                while not task.done():
                    await asyncio.sleep(0.001)
                    if server.mode in ("hang", "slow 20") and len(server.asked) > seen:
                        # It has the request, and nobody waits longer.
                        seen = len(server.asked)
                        clock.advance(2)
                return await task

            server.mode = ill
            # Two attempts, one more opens the circuit, and none is sent while it is open.
            for asked, state in [(2, "closed"), (3, "open"), *[(3, "open")] * 20]:
                outcome = await call()
                assert (outcome.value, outcome.source) == ("plain", "static")
                assert (len(server.asked), breaker.state) == (asked, state)
            # One probe a cooldown; the first that is answered closes it.
            clock.advance(30)
            assert (await call()).source == "static" and (len(server.asked), breaker.state) == (4, "open")
            server.mode = 200
            clock.advance(30)
            outcome = await call()
            assert (outcome.source, outcome.value.status, len(server.asked)) == ("primary", 200, 5)
            assert breaker.state == "closed" and bank.fallback.stats().primary == 1

    with faulty() as server:
        run(main())


@pytest.mark.parametrize("is_async", [False, True])
def test_one_budget_in_policies_one_in_another_is_paid_into_once_a_call(is_async: bool) -> None:
    budget = RetryBudget(ratio=1, min_per_second=10, ttl=60)
    outer, inner = (RetryPolicy(2, base=0, max_delay=0, budget=budget) for _ in range(2))
    late: list[asyncio.Task[int]] = []
    made: list[int] = []

    def fail() -> None:
        made.append(1)
        raise ConnectionError

    async def fail_async() -> None:
        fail()

    async def one() -> int:
        await asyncio.sleep(0.001)
        return await outer.call_async(asyncio.sleep, 0, 1)

    async def start() -> None:
        late.append(asyncio.create_task(one()))

    async def main() -> None:
        with pytest.raises(ConnectionError):
            await outer.call_async(inner.call_async, fail_async)
        # What a call leaves behind pays for itself.
        await outer.call_async(start)
        assert await late[0] == 1

    if is_async:
        run(main())
    else:
        with pytest.raises(ConnectionError):
            outer.call(inner.call, fail)
    stats = budget.stats()
    assert (len(made), stats.deposited, stats.withdrawn) == (4, 3 if is_async else 1, 3)


@pytest.mark.parametrize(("parts", "timers"), [({}, 1), ({"breaker": 9}, 2), ({"attempts": 1}, 2)])
def test_a_total_time_alone_takes_one_timer(parts: dict[str, Any], timers: int, clock: ManualClock) -> None:
    resilience, _ = resilience_of({**parts, "total_ms": 60_000}, clock, True)
    started: list[float] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        call_later = loop.call_later

        def count(delay: float, *args: Any, **kwargs: Any) -> asyncio.TimerHandle:
            started.append(delay)
            return call_later(delay, *args, **kwargs)

        loop.call_later = count  # type: ignore[method-assign]
        assert await resilience.call_async(Played([{"return": 1}], clock).async_) == 1

    run(main())
    assert len(started) == timers


@pytest.mark.parametrize("is_async", [False, True])
def test_a_failed_result_is_closed_where_the_circuit_opens(is_async: bool) -> None:
    class Closable(Answer):
        closed = 0

        def close(self) -> None:
            self.closed += 1

    answer = Closable(503)

    async def ask() -> Closable:
        return answer

    breaker = CircuitBreaker("it", consecutive_failures=1, classifier=http())
    resilience = Resilience(retry=RetryPolicy(3, base=1, jitter="none", retry_on=http()), breaker=breaker)
    with pytest.raises(CircuitOpenError):
        if is_async:
            run(resilience.call_async(ask))
        else:
            resilience.call(lambda: answer)
    assert answer.closed == 1
