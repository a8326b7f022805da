"""A cost that no request could ever pay is the application's mistake: an error, not a refusal that says when to try."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import run
from tidegate import ConfigError, LimitSet, RateLimiter, TokenBucket
from tidegate._guard import Guard
from tidegate.rules import Rule

TEXT = r"^cost: 4 is above the burst of limit '{}' \({}\), so no such request could ever pass"
SCOPE: dict[str, Any] = {"type": "http", "method": "GET", "path": "/", "headers": [], "client": ("192.0.2.1", 1)}


def charge(guard: Guard) -> Any:
    return run(guard.charge(dict(SCOPE)))


def test_nothing_is_taken_and_nobody_blocked() -> None:
    limiter = RateLimiter("3/hour")
    with pytest.raises(ConfigError, match=TEXT.format("orders", 3)):
        charge(Guard(limiter, cost=lambda scope: 4, name="orders"))
    assert limiter.stats().denied == 0


def test_what_a_warm_up_does_not_open_yet_is_refused_for_so_long() -> None:
    for limit in (RateLimiter("3/hour", warm_up=600), TokenBucket("3/hour", warm_up=600)):
        refused = charge(Guard(limit, cost=3))
        assert not refused.admitted and 599 < refused.decision.retry_after <= 600


def test_the_narrowest_of_a_set_is_named() -> None:
    limits = LimitSet(wide=TokenBucket("9/hour"), narrow=TokenBucket("2/hour"))
    with pytest.raises(ConfigError, match=TEXT.format("narrow", 2)):
        charge(Guard(limits, cost=lambda scope: 4))


def test_a_tier_is_judged_by_its_own_quota() -> None:
    limiter = RateLimiter("3/hour", fastest="9/hour")
    plans = {"free": limiter.tier("3/hour"), "pro": limiter.tier("9/hour")}
    assert charge(Guard(lambda scope: plans["pro"], cost=lambda scope: 4)).admitted
    with pytest.raises(ConfigError, match=TEXT.format("default", 3)):
        charge(Guard(lambda scope: plans["free"], cost=lambda scope: 4))


def test_a_dry_run_refuses_nothing() -> None:
    guard = Guard("3/hour", cost=lambda scope: 4, dry_run=True)
    assert charge(guard).admitted and guard.would_deny == 1


@pytest.mark.parametrize("off", [{"dry_run": True}, {"enabled": False}])
def test_a_limit_that_is_switched_off_refuses_nothing(off: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    tiered = RateLimiter("3/hour", fastest="9/hour", **off)
    limits = (
        RateLimiter("3/hour", **off),
        TokenBucket("3/hour", **off),
        tiered.tier("9/hour"),
        LimitSet(a=RateLimiter("3/hour", **off), b=TokenBucket("99/hour")),
    )
    for limit in limits:
        assert charge(Guard(limit, cost=lambda scope: 10)).admitted
    mixed = LimitSet(off=RateLimiter("3/hour", **off), on=TokenBucket("5/hour"))
    with pytest.raises(ConfigError, match=r"cost: 10 is above the burst of limit 'on' \(5\)"):
        charge(Guard(mixed, cost=lambda scope: 10))
    monkeypatch.setenv("TIDEGATE_DISABLED", "1")
    assert charge(Guard("3/hour", cost=lambda scope: 10)).admitted


def test_a_quota_that_was_lowered_below_a_fixed_cost() -> None:
    bucket = TokenBucket("9/hour")
    guard = Guard(bucket, cost=4)
    assert charge(guard).admitted
    bucket.set_quota("3/hour")
    _, taken = charge(guard).refused
    with pytest.raises(ConfigError, match=TEXT.format("default", 3)):
        guard.check_possible(taken)


@pytest.mark.parametrize("make", [Guard, lambda limit, **options: Rule("GET", "/", limit=limit, **options).guard()])
def test_a_fixed_cost_is_an_error_where_it_is_made(make: Any) -> None:
    both = LimitSet(a=TokenBucket("9/s"), b=TokenBucket("3/s"))
    for limit in ("3/hour", "9/hour; 3/day", TokenBucket("3/hour"), both):
        with pytest.raises(ConfigError, match=r"^cost: must be 1 to the burst \(3\), or no call could pass; got 4$"):
            make(limit, cost=4)
