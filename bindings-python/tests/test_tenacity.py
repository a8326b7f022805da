"""tenacity's decorator with the waits, budgets and Retry-After of tidegate."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Callable
from typing import Any

import httpx
import pytest
import tenacity
from conftest import run
from tidegate import (
    CircuitOpenError,
    Classifier,
    ConfigError,
    Deadline,
    RateLimitedError,
    RetryBudget,
    RetryPolicy,
    http,
)
from tidegate.tenacity import by_policy, stop_budget, wait_policy, wait_retry_after


def refused(status: int, **headers: str) -> httpx.HTTPStatusError:
    request = httpx.Request("GET", "http://bank.example")
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.HTTPStatusError("no", request=request, response=httpx.Response(status, headers=told))


class Flaky:
    def __init__(self, *ends: BaseException | int) -> None:
        self.ends, self.calls = ends, 0

    def __call__(self) -> int:
        end = self.ends[min(self.calls, len(self.ends) - 1)]
        self.calls += 1
        if isinstance(end, BaseException):
            raise end
        return end

    async def later(self) -> int:
        return self()


def test_a_policy_says_it_all() -> None:
    budget, waits = RetryBudget(), list[float]()
    policy = RetryPolicy(attempts=4, base=1, factor=3, max_delay=5, jitter="none", budget=budget)
    flaky = Flaky(ConnectionError(), refused(503), refused(429, retry_after="7"), 5)
    assert tenacity.retry(**by_policy(policy), sleep=waits.append)(flaky)() == 5
    assert waits == [1, 3, 7]
    assert (budget.stats().deposited, budget.stats().withdrawn) == (1, 3)

    async def scene() -> int:
        flaky = Flaky(ConnectionError(), 6)
        quick = RetryPolicy(base=0, max_delay=0, budget=budget)
        decorated = tenacity.retry(**by_policy(quick))(flaky.later)
        return await decorated()

    assert run(scene()) == 6 and budget.stats().deposited == 2


@pytest.mark.parametrize(
    "error",
    [asyncio.CancelledError(), KeyboardInterrupt(), CircuitOpenError("bank", 3.0), RateLimitedError(), ValueError()],
)
def test_what_is_never_retried(error: BaseException) -> None:
    flaky = Flaky(error)
    with pytest.raises(type(error)):
        tenacity.retry(**by_policy(RetryPolicy(base=0, max_delay=0)))(flaky)()
    assert flaky.calls == 1


def test_the_last_error_is_raised_as_it_is() -> None:
    flaky = Flaky(TimeoutError("late"))
    with pytest.raises(TimeoutError, match="late"):
        tenacity.retry(**by_policy(RetryPolicy(base=0, max_delay=0)))(flaky)()
    assert flaky.calls == 3


def test_results_are_judged_by_a_classifier() -> None:
    answers = [httpx.Response(status) for status in (503, 500, 429, 200)]
    flaky = Flaky(*answers)  # type: ignore[arg-type]
    policy = RetryPolicy(base=0, max_delay=0, retry_on=http())
    last: object = tenacity.retry(**by_policy(policy))(flaky)()
    assert last is answers[2] and flaky.calls == 3


def test_the_deadline_ends_it_before_the_wait() -> None:
    waits: list[float] = []
    flaky = Flaky(refused(503, retry_after="30"))
    with pytest.raises(httpx.HTTPStatusError):
        tenacity.retry(**by_policy(RetryPolicy(deadline=5)), sleep=waits.append)(flaky)()
    assert flaky.calls == 1 and not waits


def test_a_deadline_around_ends_it_before_the_wait() -> None:
    waits: list[float] = []
    flaky = Flaky(ConnectionError())
    policy = RetryPolicy(attempts=5, base=3, max_delay=3, jitter="none")
    with Deadline.after(2), pytest.raises(ConnectionError):
        tenacity.retry(**by_policy(policy), sleep=waits.append)(flaky)()
    assert flaky.calls == 1 and not waits


def test_what_the_classifier_says_of_the_wait_counts() -> None:
    waits: list[float] = []
    classifier = Classifier(failure_result=lambda value: value == 7, retry_after=lambda end: 3)
    policy = RetryPolicy(attempts=2, base=0, max_delay=0, max_retry_after=10, retry_on=classifier)
    for flaky in (Flaky(ConnectionError(), 5), Flaky(7, 5)):
        assert tenacity.retry(**by_policy(policy), sleep=waits.append)(flaky)() == 5
    assert waits == [3, 3]


def test_an_empty_budget_stops() -> None:
    budget = RetryBudget(ratio=0.5, min_per_second=0)
    spent = stop_budget(budget)
    flaky = Flaky(ConnectionError())
    decorated = tenacity.retry(
        stop=tenacity.stop_after_attempt(3) | spent, before=spent.before, wait=wait_retry_after(), reraise=True
    )(flaky)
    for calls in (1, 3, 4, 6):
        # Each call pays half a retry in.
        with pytest.raises(ConnectionError):
            decorated()
        assert flaky.calls == calls
    stats = budget.stats()
    assert (stats.deposited, stats.withdrawn, stats.denied) == (4, 2, 4)


@pytest.mark.parametrize("is_async", [False, True])
def test_a_budget_in_it_and_around_it_is_paid_into_once_a_call(is_async: bool) -> None:
    budget = RetryBudget(ratio=1, min_per_second=100, ttl=60)
    policy = RetryPolicy(attempts=2, base=0, max_delay=0, budget=budget)
    given = by_policy(policy)

    def paid(call: Callable[[], object]) -> int:
        before = budget.stats().deposited
        with contextlib.suppress(ConnectionError):
            call()
        return budget.stats().deposited - before

    def flaky() -> Flaky:
        return Flaky(ConnectionError(), ConnectionError(), ConnectionError(), 1)

    def within() -> object:
        if is_async:
            return run(tenacity.retry(**given)(policy.wrap(flaky().later))())
        return tenacity.retry(**given)(policy.call)(flaky())

    def around() -> object:
        if is_async:
            return run(policy.call_async(tenacity.retry(**given)(flaky().later)))
        return policy.call(tenacity.retry(**given)(flaky()))

    assert (paid(within), paid(around), paid(lambda: policy.call(lambda: 1))) == (1, 1, 1)

    def by_blocks() -> None:
        for attempt in tenacity.Retrying(**given):
            with attempt:
                policy.call(lambda: 1)
                break

    # Whatever ends the loop, the next call pays for itself.
    assert (paid(by_blocks), paid(lambda: policy.call(lambda: 1)), paid(within)) == (1, 1, 1)


def test_attempts_that_are_used_up_cost_no_budget() -> None:
    budget = RetryBudget()
    for stop in (
        tenacity.stop_after_attempt(1) | stop_budget(budget),
        by_policy(RetryPolicy(1, budget=budget))["stop"],
    ):
        with pytest.raises(ConnectionError):
            tenacity.retry(stop=stop, reraise=True)(Flaky(ConnectionError()))()
    assert budget.stats().withdrawn == 0


def test_retry_after_of_errors_results_and_refusals() -> None:
    waits: list[float] = []
    longest = wait_retry_after(tenacity.wait_fixed(2), max_retry_after=60)
    flaky = Flaky(refused(503, retry_after="1"), refused(503, retry_after="9"), refused(429, retry_after="999"),
                  CircuitOpenError("bank", 4.0), 1)  # fmt: skip
    tenacity.retry(wait=longest, sleep=waits.append)(flaky)()
    assert waits == [2, 9, 60, 4]
    waits.clear()
    answers = iter([refused(503, retry_after_ms="250").response, None])
    decorated = tenacity.retry(
        wait=wait_retry_after(),
        sleep=waits.append,
        retry=tenacity.retry_if_result(lambda response: response is not None),
    )(lambda: next(answers))
    decorated()
    assert waits == [0.25]


@pytest.mark.parametrize("jitter", ["decorrelated", "smooth"])
def test_jitter_that_remembers_remembers_each_call_by_itself(jitter: Any) -> None:
    policy = RetryPolicy(attempts=None, base=0.1, max_delay=50, jitter=jitter)
    wait, states = wait_policy(policy), [tenacity.RetryCallState(tenacity.Retrying(), None, (), {}) for _ in range(2)]
    for n in range(1, 12):
        for state in states:
            state.attempt_number = n
            assert 0 <= wait(state) <= 50
    first, second = (state.tidegate_previous for state in states)  # type: ignore[attr-defined]
    assert first != second
    assert sum(itertools.islice(policy.delays(), 11)) > 0


def test_bad_arguments() -> None:
    for wrong, make in (("policy", by_policy), ("policy", wait_policy), ("budget", stop_budget)):
        with pytest.raises(TypeError, match=f"^{wrong}: expected a Retry"):
            make(3)  # type: ignore[arg-type, operator]
    with pytest.raises(TypeError, match="^otherwise: expected a wait of tenacity"):
        wait_retry_after(3)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="^max_retry_after: "):
        wait_retry_after(max_retry_after=-1)
