"""tidegate: rate limiting, circuit breaking and backpressure on one lock-free Rust core.

Times are seconds (floats; a ``timedelta`` is accepted), "never" is ``math.inf``. A refusal is a result of the plain
forms (``False``, ``None``, ``Decision.allowed``) and an exception of the waiting ones.
"""

from ._tidegate import (
    BoundedQueue,
    BreakerStats,
    BucketStats,
    CircuitBreaker,
    Decision,
    Event,
    ManualClock,
    Permit,
    QueueStats,
    Reservation,
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
    "BoundedQueue",
    "BreakerStats",
    "BucketStats",
    "CircuitBreaker",
    "CircuitOpenError",
    "ConcurrencyLimitError",
    "ConfigError",
    "Decision",
    "Event",
    "ManualClock",
    "OverloadedError",
    "Permit",
    "QueueClosedError",
    "QueueEmptyError",
    "QueueFullError",
    "QueueStats",
    "RateLimitedError",
    "Reservation",
    "TidegateError",
    "TokenBucket",
    "__version__",
]
