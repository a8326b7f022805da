"""Wrong types: the error's own sentence names the argument as it was written, not a note below it."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest
import tidegate
from tidegate import (
    BoundedQueue,
    CircuitBreaker,
    ConcurrencyLimiter,
    Deadline,
    HostScope,
    ManualClock,
    RateLimiter,
    TokenBucket,
)
from tidegate._time import span_ns
from tidegate.headers import retry_after_seconds


@pytest.mark.parametrize(
    "options",
    [
        {"dry_run": "yes"},
        {"enabled": 1},
        {"clock": 5},
        {"name": 5},
        {"on_conflict": True},
        {"scope": 5},
        {"warm_up": "long"},
    ],
    ids=lambda options: next(iter(options)),
)
@pytest.mark.parametrize("make", [TokenBucket, RateLimiter])
def test_limits(make: Any, options: dict[str, Any]) -> None:
    (name,) = options
    with pytest.raises(TypeError, match=rf"^{name}: expected .*, got {type(options[name]).__name__}$"):
        make("5/s", **options)


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: RateLimiter("5/s", algorithm=5), "algorithm"),
        (lambda: RateLimiter("5/s", block=5), "block"),
        (lambda: RateLimiter("5/s", huge_pages=1), "huge_pages"),
        (lambda: RateLimiter("5/s", fastest=object()), "fastest"),
        (lambda: BoundedQueue(5, sojourn="yes"), "sojourn"),
        (lambda: BoundedQueue(5, clock="now"), "clock"),
        (lambda: BoundedQueue(5, on_full=5), "on_full"),
        (lambda: ConcurrencyLimiter(5, dry_run="no"), "dry_run"),
        (lambda: CircuitBreaker(5), "name"),
        (lambda: CircuitBreaker(clock=5), "clock"),
        (lambda: CircuitBreaker(on_conflict=5), "on_conflict"),
        (lambda: HostScope(5), "name"),
        (lambda: HostScope("x", path=5), "path"),
    ],
)
def test_others(make: Any, name: str) -> None:
    with pytest.raises(TypeError, match=rf"^{name}: .*expected .*, got "):
        make()


class OfTenant(TokenBucket):
    """The pattern of the README for a subclass with arguments of its own."""

    def __new__(cls, tenant: str, rate: str) -> OfTenant:
        return super().__new__(cls, rate)  # type: ignore[return-value]

    def __init__(self, tenant: str, rate: str) -> None:
        self.tenant = tenant


@pytest.mark.parametrize("base", [TokenBucket, RateLimiter, CircuitBreaker, BoundedQueue, ConcurrencyLimiter])
def test_a_subclass_with_arguments_of_its_own_is_told_where_to_take_them(base: Any) -> None:
    class Mine(base):
        def __init__(self, tenant: str, first: Any) -> None:
            super().__init__()

    first = {RateLimiter: "5/s", TokenBucket: "5/s", CircuitBreaker: "bank"}.get(base, 5)
    with pytest.raises(TypeError, match=rf"^Mine\(\) got .* 'tenant': {base.__name__} is .*__new__"):
        Mine(first, tenant="acme")
    text = rf"^{base.__name__}\(\) got an unexpected keyword argument 'tenant'; it takes \w+, \w+"
    with pytest.raises(TypeError, match=text):
        base(first, tenant="acme")


def test_a_subclass_that_takes_its_arguments_in_new() -> None:
    bucket = OfTenant("acme", "5/s")
    assert (bucket.tenant, bucket.burst, bucket.try_acquire()) == ("acme", 5, True)


def test_another_process_declared_other_settings() -> None:
    first = tidegate.TokenBucket("5/s", scope="process:arguments", name="x")
    with pytest.raises(tidegate.ArenaError, match='on_conflict="keep" .* or on_conflict="apply"'):
        tidegate.TokenBucket("6/s", scope="process:arguments", name="x")
    assert first.burst == 5


def test_spans_are_rounded_up_and_a_clock_down() -> None:
    """By a nanosecond at most, and never by what floats cannot say."""
    clock = ManualClock()
    for seconds, ns in [(1.4e-9, 1), (1.6e-9, 1), (0.3, 300_000_000), (0.1 + 0.2, 300_000_000), (1 / 3, 333_333_333)]:
        before = clock.now_ns
        clock.advance(seconds)
        assert clock.now_ns - before == ns, seconds
    for seconds, ns in [(1.4e-9, 2), (1.6e-9, 2), (0.3, 300_000_000), (0.1 + 0.2, 300_000_000), (1 / 3, 333_333_334)]:
        assert span_ns(seconds) == ns
        deadline = Deadline.after(seconds, clock=clock)
        clock.set_ns(clock.now_ns + ns - 1)
        assert not deadline.expired
        clock.set_ns(clock.now_ns + 1)
        assert deadline.expired
    assert span_ns(None) == span_ns(math.inf) == span_ns(1e300) == math.inf
    source = random.Random(9)
    for _ in range(2000):
        ns = source.randrange(2 ** source.randrange(1, 50))
        assert span_ns(ns / 1e9) == ns
        before = clock.now_ns
        clock.advance(ns / 1e9)
        assert clock.now_ns - before == ns
    for told, seconds in [(1.0, 1), (1.0000000004, 2), (1.0000000000000002, 1), (math.nextafter(3, 0), 3)]:
        assert retry_after_seconds(told) == seconds, told


def test_who_was_called_is_named() -> None:
    fastapi = pytest.importorskip("tidegate.fastapi")
    for make in (fastapi.RateLimit, fastapi.limit):
        said = rf"^{make.__name__}\(\) has no option 'rate'; it takes burst, fastest, key"
        with pytest.raises(TypeError, match=said):
            make("5/s", rate=5)
        for options in ({"dry_run": "yes"}, {"headers": 1}, {"jitter": "some"}):
            (name,) = options
            with pytest.raises(TypeError, match=f"^{name}: expected .*, got "):
                make("5/s", **options)
