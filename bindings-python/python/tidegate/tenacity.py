"""Waits, budgets and Retry-After of tidegate for functions that tenacity retries.

    @tenacity.retry(**by_policy(RetryPolicy(attempts=3, budget=bank)))
    async def charge(order): ...
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypedDict

import tenacity
from tenacity.retry import retry_base
from tenacity.stop import stop_base
from tenacity.wait import wait_base, wait_none

from ._deadline import Deadline
from ._paid import begin
from ._retry import RetryPolicy
from ._retryable import Verdict, failed_result, is_retried, retry_after
from ._tidegate import RetryBudget, max_retry_after_seconds

__all__ = ["by_policy", "stop_budget", "wait_policy", "wait_retry_after"]


class stop_budget(stop_base):
    """Stops where the budget is empty; else takes one retry from it.

        spent = stop_budget(bank)

        @tenacity.retry(stop=stop_after_attempt(3) | spent, before=spent.before)
        def charge(order): ...

    It stands behind other stops, so that none of them stops what it has paid for, and ``before`` pays in for each call,
    unless a policy or client around it has: without it, the seconds alone do (``min_per_second``).
    """

    def __init__(self, budget: RetryBudget) -> None:
        if not isinstance(budget, RetryBudget):
            raise TypeError(f"budget: expected a RetryBudget, got {type(budget).__name__}")
        self.budget = budget

    def before(self, retry_state: tenacity.RetryCallState) -> None:
        """Pays in, once a call; policies and clients in it do not."""
        # Tenacity keeps the outcome of an attempt that has ended. Not held, for the context may outlive the call.
        state = weakref.ref(retry_state)

        def is_under_way() -> bool:
            call = state()
            return call is not None and call.outcome is None

        begin(self.budget, retry_state.attempt_number == 1, is_under_way)

    def __call__(self, retry_state: tenacity.RetryCallState) -> bool:
        return not self.budget.try_withdraw()


class wait_policy(wait_base):
    """Waits as a RetryPolicy does: backoff with jitter, or a longer Retry-After of 429 and 503."""

    def __init__(self, policy: RetryPolicy) -> None:
        self.policy = _policy(policy)

    def __call__(self, retry_state: tenacity.RetryCallState) -> float:
        n = retry_state.attempt_number - 1
        # Kept with the call, for this object is shared by all.
        wait, previous = self.policy._schedule.delay(n, getattr(retry_state, "tidegate_previous", 0.0))
        retry_state.tidegate_previous = previous  # type: ignore[attr-defined]
        return max(wait, _told(retry_state, self.policy._schedule.max_retry_after, self.policy))


class wait_retry_after(wait_base):
    """Waits as another wait does (default: not at all), or as long as the server asks where that is longer.

    What it asks counts up to ``max_retry_after`` seconds: Retry-After or Retry-After-Ms of a 429 or 503, or the
    ``retry_after`` of an error such as CircuitOpenError.
    """

    def __init__(self, otherwise: wait_base | None = None, max_retry_after: float | timedelta = 60.0) -> None:
        if otherwise is not None and not callable(otherwise):
            raise TypeError(f"otherwise: expected a wait of tenacity, got {type(otherwise).__name__}")
        self.otherwise = wait_none() if otherwise is None else otherwise
        self.max_retry_after = max_retry_after_seconds(max_retry_after)

    def __call__(self, retry_state: tenacity.RetryCallState) -> float:
        return max(float(self.otherwise(retry_state)), _told(retry_state, self.max_retry_after))


class Arguments(TypedDict, total=False):
    """What ``by_policy`` gives to tenacity."""

    stop: Callable[[tenacity.RetryCallState], bool]
    wait: wait_base
    retry: retry_base
    before: Callable[[tenacity.RetryCallState], None]
    retry_error_callback: Callable[[tenacity.RetryCallState], Any]


def by_policy(policy: RetryPolicy) -> Arguments:
    """The arguments with which tenacity does what the policy says, budget and deadlines included.

    What the last attempt gave is given, and what it raised is raised, with no RetryError around it. No task's
    cancellation and no Ctrl-C is retried.
    """
    policy = _policy(policy)
    wait = wait_policy(policy)
    budget = None if policy.budget is None else stop_budget(policy.budget)
    attempts, deadline = policy.attempts, policy._schedule.deadline

    def stop(retry_state: tenacity.RetryCallState) -> bool:
        if attempts is not None and retry_state.attempt_number >= attempts:
            return True
        if deadline is not None and (retry_state.seconds_since_start or 0.0) + retry_state.upcoming_sleep >= deadline:
            return True
        around = Deadline.current()
        if around is not None and retry_state.upcoming_sleep >= around.remaining():
            return True
        return budget is not None and budget(retry_state)

    def retried(error: BaseException) -> bool:
        return isinstance(error, Exception) and bool(is_retried(policy._retry_on, error))

    def failed(result: object) -> bool:
        return failed_result(policy._readers, result) is not None

    given: Arguments = {"stop": stop, "wait": wait, "retry_error_callback": _last}
    given["retry"] = tenacity.retry_if_exception(retried) | tenacity.retry_if_result(failed)
    if budget is not None:
        given["before"] = budget.before
    return given


def _last(retry_state: tenacity.RetryCallState) -> Any:
    assert retry_state.outcome is not None
    return retry_state.outcome.result()


def _policy(policy: Any) -> RetryPolicy:
    if not isinstance(policy, RetryPolicy):
        raise TypeError(f"policy: expected a RetryPolicy, got {type(policy).__name__}")
    return policy


def _told(retry_state: tenacity.RetryCallState, most: float, policy: RetryPolicy | None = None) -> float:
    """What the error, or the response, of the last attempt asks for; the policy's Classifier has the first word."""
    outcome = retry_state.outcome
    if outcome is None:
        return 0.0
    error: Any = outcome.exception() if outcome.failed else outcome.result()
    if policy is None:
        return retry_after(error, most) or 0.0
    verdict: bool | Verdict | None = False
    if not outcome.failed:
        verdict = failed_result(policy._readers, error)
    elif isinstance(error, Exception):
        verdict = is_retried(policy._retry_on, error)
    return policy._told(error, verdict or False) or 0.0
