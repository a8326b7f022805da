"""What objects count: classes that compare, show their fields, pickle and copy."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
from tidegate import BoundedQueue, CircuitBreaker, ConcurrencyLimiter, RateLimiter, TokenBucket


def tripped() -> CircuitBreaker:
    breaker = CircuitBreaker(consecutive_failures=1)
    breaker.acquire().failure()
    return breaker


@pytest.mark.parametrize(
    "counts",
    [
        TokenBucket("5/s").stats(),
        RateLimiter("5/s").stats(),
        ConcurrencyLimiter(5).stats(),
        BoundedQueue(5).stats(),
        CircuitBreaker().stats(),
        tripped().stats(),
        tripped().events()[0],
    ],
    ids=lambda counts: type(counts).__name__,
)
def test_they_pickle_and_copy(counts: Any) -> None:
    for twin in (pickle.loads(pickle.dumps(counts)), copy.copy(counts), copy.deepcopy(counts)):
        assert twin == counts and type(twin) is type(counts)
        assert repr(twin) == repr(counts)
    assert repr(counts).startswith(f"{type(counts).__name__}(")


def test_they_compare_by_value() -> None:
    bucket = TokenBucket("5/s")
    before = bucket.stats()
    assert before == bucket.stats()
    bucket.check()
    assert before != bucket.stats()
    assert repr(bucket.stats()) == "BucketStats(admitted=1, denied=0, would_deny=0)"
    assert repr(tripped().stats()).endswith("last_trip=Trip(calls=1, failed=1, slow=0))")
