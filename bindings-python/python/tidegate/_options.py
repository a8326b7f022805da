"""The arguments of CircuitBreaker as a type."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Literal, TypeAlias, TypedDict

from ._tidegate import HostScope, ManualClock, ProcessScope

Filter: TypeAlias = type[BaseException] | Callable[[Exception], bool]
Filters: TypeAlias = Filter | tuple[Filter, ...] | list[Filter] | list[type[BaseException]]
Seconds: TypeAlias = float | timedelta


class BreakerOptions(TypedDict, total=False):
    """What ``breaker("name", …)`` takes."""

    failure_rate_threshold: float | None
    window_calls: int | None
    window_duration: Seconds | None
    min_calls: int | None
    slow_call_duration: Seconds | None
    slow_call_rate_threshold: float | None
    consecutive_failures: int | None
    cooldown: Seconds | None
    cooldown_backoff: float | None
    max_cooldown: Seconds | None
    cooldown_jitter: float | None
    probes: int | None
    probe_timeout: Seconds | None
    failure_on: Filters | None
    ignore: Filters | None
    clock: ManualClock | None
    scope: str | HostScope | ProcessScope | None
    on_conflict: Literal["error", "keep", "apply"] | None
