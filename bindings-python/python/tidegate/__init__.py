"""tidegate: rate limiting, circuit breaking and backpressure on one lock-free Rust core.

Times are seconds (floats; a ``timedelta`` is accepted), "never" is ``math.inf``. A refusal is a result of the plain
forms (``False``, ``None``, ``Decision.allowed``) and an exception of the waiting ones.
"""

from ._tidegate import (
    Block,
    BoundedQueue,
    BreakerStats,
    BucketStats,
    CircuitBreaker,
    Decision,
    Event,
    LimiterStats,
    LimitSet,
    ManualClock,
    Permit,
    QueueStats,
    RateLimiter,
    Reservation,
    Tier,
    TokenBucket,
    __version__,
)
from .errors import (
    CircuitOpenError,
    ConcurrencyLimitError,
    ConfigError,
    OverloadedError,
    QueueClosedError,
    QueueEmptyError,
    QueueFullError,
    RateLimitedError,
    TidegateError,
)

__all__ = [
    "Block",
    "BoundedQueue",
    "BreakerStats",
    "BucketStats",
    "CircuitBreaker",
    "CircuitOpenError",
    "ConcurrencyLimitError",
    "ConfigError",
    "Decision",
    "Event",
    "LimitSet",
    "LimiterStats",
    "ManualClock",
    "OverloadedError",
    "Permit",
    "QueueClosedError",
    "QueueEmptyError",
    "QueueFullError",
    "QueueStats",
    "RateLimitedError",
    "RateLimiter",
    "Reservation",
    "TidegateError",
    "Tier",
    "TokenBucket",
    "__version__",
]
