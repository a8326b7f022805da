"""tests/settings.json: errors name a setting as it was written here, with its range; signatures hold the defaults."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tidegate import (
    Block,
    BoundedQueue,
    BreakerRegistry,
    CircuitBreaker,
    ClientThrottle,
    ClusterLimit,
    ConcurrencyLimiter,
    ConfigError,
    LoadShedder,
    RateLimiter,
    RetryBudget,
    RetryPolicy,
    TokenBucket,
)

TABLE = json.loads((Path(__file__).parents[2] / "tests" / "settings.json").read_text())
CASES = [case for case in TABLE if case["kind"] != "partitions"]
LISTS = [(case["object"], it) for case in TABLE if case["kind"] == "partitions" for it in case["lists"]]
# Settings that this language does not have.
NOT_HERE = {("bucket", "stripes")}


def make(object_: str, field: str, name: str, value: Any) -> Any:
    kind: Callable[..., Any] = TokenBucket if object_ == "bucket" else RateLimiter
    plain: dict[str, Callable[..., Any]] = {
        "breaker": CircuitBreaker,
        "registry": BreakerRegistry,
        "adaptive": ConcurrencyLimiter.adaptive,
        "retry": RetryPolicy,
        "retry_budget": RetryBudget,
        "throttle": ClientThrottle,
        "shedder": LoadShedder,
    }
    if object_ in plain:
        return plain[object_](**{name: value})
    if object_ == "cluster_limit":
        local = {"hosts": {"on_unreachable": "local"}, "fallback_for": {"on_unreachable": "local", "hosts": 2}}
        return ClusterLimit("2000/s", scope="process:settings", name="it", **local.get(field, {}), **{name: value})
    if object_ == "queue":
        return BoundedQueue(**{"capacity": 10, name: value})
    if object_ == "concurrency":
        return ConcurrencyLimiter(**{"limit": 4, name: value})
    if field.startswith("block_"):
        return Block(**{"after": 3, "within": 1, "duration": 1, name: value})
    if field == "rate":
        return kind(value)
    if field == "period":
        return kind(5, per=value)
    more = {"warm_up_from": {"warm_up": 1}, "queue": {"algorithm": "leaky_bucket"}}.get(field, {})
    return kind("5/s", **more, **{name: value})


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['object']}.{case['field']}")
def test_what_is_refused(case: dict[str, Any]) -> None:
    object_, field, kind = case["object"], case["field"], case["kind"]
    if (object_, field) in NOT_HERE:
        pytest.skip("not a setting of Python")
    name, range_ = case["names"]["python"], case["ranges"]["python"]
    for value in case["outside"]:
        with pytest.raises(ConfigError, match=rf"^{name}: .*{re.escape(range_)}"):
            make(object_, field, name, value / 1e9 if kind == "span" else value)
    wrong = "much" if kind in ("count", "real", "span", "flag") else 5j
    said = "True or False" if kind == "flag" else re.escape(range_)
    with pytest.raises(TypeError, match=rf"^{name}: .*expected .*{said}.*got {type(wrong).__name__}$"):
        make(object_, field, name, wrong)


def test_signatures_hold_the_defaults() -> None:
    kinds: dict[str, Callable[..., Any]] = {
        "bucket": TokenBucket,
        "limiter": RateLimiter,
        "breaker": CircuitBreaker,
        "registry": BreakerRegistry,
        "queue": BoundedQueue,
        "concurrency": ConcurrencyLimiter,
        "adaptive": ConcurrencyLimiter.adaptive,
        "retry": RetryPolicy,
        "retry_budget": RetryBudget,
        "throttle": ClientThrottle,
        "shedder": LoadShedder,
        "cluster_limit": ClusterLimit,
    }
    for case in CASES:
        object_, field, default = case["object"], case["field"], case["default"]
        if (object_, field) in NOT_HERE:
            continue
        kind = Block if field.startswith("block_") else kinds[object_]
        shown = inspect.signature(kind).parameters[case["names"]["python"]].default
        if field == "warm_up_from":
            default = None  # It is one only beside warm_up.
        if default is None:
            assert shown in (None, inspect.Parameter.empty), field
        else:
            assert shown == (default / 1e9 if case["kind"] == "span" else default), field


@pytest.mark.parametrize(("object_", "given"), LISTS, ids=lambda part: part if isinstance(part, str) else part["says"])
def test_partitions(object_: str, given: dict[str, Any]) -> None:
    partitions = {name: float(share) for name, share in given["partitions"]}
    if len(partitions) < len(given["partitions"]):
        pytest.skip("no dict has a name twice")
    limit = {"limit": 4} if object_ == "concurrency" else {}
    kind: Callable[..., ConcurrencyLimiter] = ConcurrencyLimiter if limit else ConcurrencyLimiter.adaptive
    if given["says"] is None:
        limiter = kind(**limit, partitions=partitions, priority=given["priority"])
        assert list(limiter.partition_stats()) == list(partitions)
        return
    with pytest.raises(ConfigError) as raised:
        kind(**limit, partitions=partitions, priority=given["priority"])
    assert str(raised.value) == given["says"]
