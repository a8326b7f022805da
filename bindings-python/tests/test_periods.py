"""A quota has one period, the one that was written: every algorithm counts by it, and `quota` says it."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

import pytest
from tidegate import ManualClock, RateLimiter

ALGORITHMS = ["token_bucket", "leaky_bucket", "fixed_window", "sliding_window", "sliding_log"]


def admitted(limiter: Any, clock: ManualClock, period: float, periods: int) -> int:
    """One call every fiftieth of a period."""
    count = 0
    for _ in range(50 * periods):
        count += limiter.try_acquire("k")
        clock.advance(period / 50)
    return count


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_any_number_of_milliseconds(algorithm: str) -> None:
    pick = random.Random(algorithm)
    for _ in range(20):
        count, ms = pick.randint(1, 20), pick.randint(20, 20_000)
        spelt: list[dict[str, Any]] = [
            {"rate": count, "per": ms / 1000},
            {"rate": float(count), "per": timedelta(milliseconds=ms)},
            {"rate": f"{count} per {ms} ms"},
            {"rate": f"{count} per {ms / 1000:.3f} s"},
        ]
        for given in spelt:
            clock = ManualClock()
            limiter = RateLimiter(algorithm=algorithm, clock=clock, **given)
            assert (limiter.count, limiter.period, limiter.burst) == (count, ms / 1000, count)
            most = 4 * count + (count if algorithm == "token_bucket" else 1)
            assert 2 * count <= admitted(limiter, clock, ms / 1000, 4) <= most, (given, algorithm)


def test_a_window_of_one_and_a_half_seconds(clock: ManualClock) -> None:
    for algorithm in ("fixed_window", "sliding_log"):
        limiter = RateLimiter("10 per 1.5 s", algorithm=algorithm, clock=clock)
        assert admitted(limiter, clock, 1.5, 10) == 100
    # A count that is not whole makes the period longer: 5 in 2 seconds.
    halves = RateLimiter("2.5/s", algorithm="fixed_window", clock=clock)
    assert [halves.try_acquire("k") for _ in range(6)] == [True] * 5 + [False]
