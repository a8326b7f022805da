"""When reading from a broker pauses: what a source says, for a least time, as each pause costs what was fetched."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from ._log import log
from ._shed import pressure_reader
from ._tidegate import BoundedQueue, CircuitBreaker, ConcurrencyLimiter, ManualClock
from ._time import clock_of, now_ns, span_ns, timeout_seconds
from .errors import ConfigError

# What is read of a source: whether to pause, given whether it is paused.
Wish = Callable[[bool], bool]


class Switch:
    """Whether to be paused now. Not for several threads at once: who asks holds a lock."""

    def __init__(
        self,
        source: object,
        min_pause: float | timedelta,
        pause_at: float,
        resume_at: float,
        clock: ManualClock | None,
    ) -> None:
        seconds = timeout_seconds(min_pause, "min_pause")
        if min_pause is None or seconds is None:
            raise ConfigError(f"min_pause: must be 0 or more seconds, and finite, got {min_pause}")
        self._min_pause_ns = span_ns(seconds)
        self._wish = _wish(source, *_levels(pause_at, resume_at))
        self._clock = clock_of(clock)
        self._since_ns = 0
        self._is_failing = False
        self.paused = False
        self.pauses = 0

    def look(self) -> bool:
        """Asks the source, and says whether to be paused."""
        wished = self._wished()
        if wished and not self.paused:
            self.paused = True
            self.pauses += 1
            self._since_ns = now_ns(self._clock)
        elif self.paused and not wished and now_ns(self._clock) - self._since_ns >= self._min_pause_ns:
            self.paused = False
        return self.paused

    def _wished(self) -> bool:
        """A source that fails says nothing: it must not stop all reading for ever."""
        try:
            wished = self._wish(self.paused)
        except Exception:
            if not self._is_failing:
                self._is_failing = True
                log.warning("the source of pause_when failed, and counts as no pressure until it works", exc_info=True)
            return False
        self._is_failing = False
        return wished


class Pausing:
    """What the pausing consumers of both clients have: all of their ``_consumer``, and how the source stands."""

    _switch: Switch

    @property
    def is_paused(self) -> bool:
        """Whether the source has paused it."""
        return self._switch.paused

    @property
    def pauses(self) -> int:
        """How many times the source has paused it."""
        return self._switch.pauses

    def __getattr__(self, name: str) -> Any:
        return getattr(self._consumer, name)


def _levels(pause_at: float, resume_at: float) -> tuple[float, float]:
    for name, level in (("pause_at", pause_at), ("resume_at", resume_at)):
        if not isinstance(level, (int, float)) or isinstance(level, bool):
            raise TypeError(f"{name}: expected a number, got {type(level).__name__}")
        if not math.isfinite(level) or level < 0:
            raise ConfigError(f"{name}: must be 0 or more, and finite, got {level}")
    if resume_at > pause_at:
        raise ConfigError(f"resume_at: must be at most pause_at ({pause_at}), got {resume_at}")
    return pause_at, resume_at


def _wish(source: Any, pause_at: float, resume_at: float) -> Wish:
    if isinstance(source, BoundedQueue):
        # Its own watermarks are the hysteresis.
        return lambda paused: not source.is_accepting
    if isinstance(source, CircuitBreaker):
        # Open, and the cooldown is not over: it turns half-open at a call, which comes only if reading goes on then.
        return lambda paused: source.retry_after > 0
    if isinstance(source, ConcurrencyLimiter):
        return _between(lambda: source.in_use / source.limit, pause_at, resume_at)
    # Without asking for it, which may fail.
    if inspect.getattr_static(source, "pressure", None) is not None:
        return _between(pressure_reader(source), pause_at, resume_at)
    if callable(source):
        return _between(source, pause_at, resume_at)
    raise TypeError(
        "source: expected a BoundedQueue, a ConcurrencyLimiter, a CircuitBreaker, an object with `pressure` or a "
        f"function that gives a number or a bool, got {type(source).__name__}"
    )


def _between(read: Callable[[], object], pause_at: float, resume_at: float) -> Wish:
    """Pauses from ``pause_at`` on, until the number is ``resume_at`` or less."""

    def wish(paused: bool) -> bool:
        value = read()
        if value is True or value is False:
            return value
        if not isinstance(value, (int, float)) or math.isnan(value):
            raise TypeError(f"the source of pause_when gave {value!r}, which is neither a number nor a bool")
        return value > resume_at if paused else value >= pause_at

    return wish
