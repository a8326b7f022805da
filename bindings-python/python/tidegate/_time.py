"""Timeouts and deadlines, on the machine's clock or on a ManualClock."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from datetime import timedelta

from ._log import blocks
from ._tidegate import ManualClock
from .errors import ConfigError

# How often a wait looks at a ManualClock, which nobody announces the moves of.
POLL = 0.001
# time.sleep and Lock.acquire refuse longer spans; an hour at a time does no harm.
LONGEST_WAIT = 3600.0
# Of a number that came of a few steps with floats, as a part of it.
_NOISE = 2.0**-50


def timeout_seconds(timeout: float | timedelta | None, name: str = "timeout") -> float | None:
    """Seconds of an argument; None waits for ever, as ``math.inf`` does."""
    if timeout is None:
        return None
    if isinstance(timeout, timedelta):
        seconds = timeout.total_seconds()
    elif isinstance(timeout, (int, float)) and not isinstance(timeout, bool):
        seconds = _float(timeout)
    else:
        raise TypeError(f"{name}: expected seconds as a float, a timedelta or None, got {type(timeout).__name__}")
    if math.isnan(seconds) or seconds < 0:
        raise ConfigError(f"{name}: must be 0 or more seconds, got {seconds}")
    return None if math.isinf(seconds) else seconds


def _float(number: float) -> float:
    try:
        return float(number)
    except OverflowError:
        # An int that no float holds.
        return math.inf if number > 0 else -math.inf


def limit_seconds(name: str, limit: float | timedelta | None) -> float | None:
    """As ``timeout_seconds``, of a setting: one of 0 would let nothing begin."""
    seconds = timeout_seconds(limit, name)
    if seconds == 0:
        raise ConfigError(f"{name}: must be more than 0 seconds, got {seconds}")
    return seconds


def span_ns(seconds: float | None) -> float:
    """A span in whole nanoseconds, an int but for no end: up, so that nothing ends before its time. The error of floats
    is no part of a number: 0.3 s are 300,000,000.
    """
    if seconds is None or math.isinf(ns := seconds * 1e9):
        return math.inf
    nearest = round(ns)
    return nearest if abs(ns - nearest) <= ns * _NOISE else math.ceil(ns)


def clock_of(clock: ManualClock | None) -> ManualClock | None:
    """A ``clock`` argument."""
    if clock is not None and not isinstance(clock, ManualClock):
        raise TypeError(f"clock: expected a ManualClock, got {type(clock).__name__}")
    return clock


def now_ns(clock: ManualClock | None) -> int:
    """The machine's monotonic clock, or a ManualClock. Differences of its seconds as floats are not exact."""
    return time.monotonic_ns() if clock is None else clock.now_ns


def _naps(seconds: float, clock: ManualClock | None) -> Iterator[float]:
    """How long to sleep, again and again, until ``seconds`` have passed on ``clock``."""
    if clock is None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            yield min(left, LONGEST_WAIT)
    else:
        end_ns = clock.now_ns + span_ns(seconds)
        while clock.now_ns < end_ns:
            yield POLL


def sleep(seconds: float, clock: ManualClock | None) -> None:
    """Blocks this thread (and nothing else: ``time.sleep`` detaches, and Ctrl-C ends it)."""
    blocks()
    for nap in _naps(seconds, clock):
        time.sleep(nap)


async def sleep_async(seconds: float, clock: ManualClock | None) -> None:
    """Suspends this task; where no loop runs, as in WSGI, blocks this thread."""
    import asyncio

    if asyncio._get_running_loop() is None:
        return sleep(seconds, clock)
    for nap in _naps(seconds, clock):
        await asyncio.sleep(nap)
