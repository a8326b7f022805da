"""Fallback and Resilience: what stands in for a call, and everything round one call in its order."""

from __future__ import annotations

import asyncio
import json
import pathlib
from typing import Any

import pytest
from conftest import run
from tidegate import (
    Alternative,
    BoundedQueue,
    CircuitBreaker,
    CircuitOpenError,
    ConcurrencyLimiter,
    ConcurrencyLimitError,
    Fallback,
    ManualClock,
    Outcome,
    Resilience,
    RetryBudget,
    RetryBudgetExceededError,
    RetryPolicy,
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


def resilience_of(policies: dict[str, Any], clock: ManualClock, is_async: bool) -> tuple[Resilience[Any], dict[str, Any]]:
    parts: dict[str, Any] = {}
    if "attempts" in policies:
        budget = RetryBudget(**policies["budget"]) if "budget" in policies else None
        judge = http() if policies.get("retry_on") == "http" else None
        parts["retry"] = RetryPolicy(policies["attempts"], base=0, max_delay=0, budget=budget, retry_on=judge)
    if "breaker" in policies:
        classifier = http() if policies.get("classifier") == "http" else None
        parts["breaker"] = CircuitBreaker("it", consecutive_failures=policies["breaker"], classifier=classifier)
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
        clock.advance(step.get("advance_ms", 0) / 1e3)
        played = Played(step["acts"], clock)
        key = (step["key"],) if "key" in step else ()

        def call(played: Played = played, key: tuple[str, ...] = key) -> Any:
            if is_async:
                return run(resilience.call_async(played.async_, *key))
            return resilience.call(played.sync, *key)

        if "raises" in step:
            with pytest.raises(ERRORS[step["raises"]]) as raised:
                call()
            error: Any = raised.value
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
    for part in parts.values():
        if isinstance(part, ConcurrencyLimiter):
            assert part.stats().in_use == 0
