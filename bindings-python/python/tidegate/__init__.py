"""tidegate: rate limiting, circuit breaking and backpressure on one lock-free Rust core.

Times are seconds (floats; a ``timedelta`` is accepted), "never" is ``math.inf``. A refusal is a result of the plain
forms (``False``, ``None``, ``Decision.allowed``) and an exception of the waiting ones.
"""

# Loaded before any thread waits: a fork in the middle of an import would leave the child a half-made module for ever.
from . import _decorate as _decorate
from . import _waiting as _waiting
from ._tidegate import (
    Block,
    BoundedQueue,
    BreakerStats,
    BucketStats,
    CircuitBreaker,
    ConcurrencyLimiter,
    ConcurrencyPermit,
    ConcurrencyStats,
    Decision,
    Event,
    HostScope,
    LimiterStats,
    LimitSet,
    ManualClock,
    Permit,
    ProcessScope,
    QueueStats,
    RateLimiter,
    Reservation,
    Tier,
    TokenBucket,
    Trip,
    __version__,
)
from .errors import (
    ArenaError,
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
    "ArenaError",
    "Block",
    "BoundedQueue",
    "BreakerStats",
    "BucketStats",
    "CircuitBreaker",
    "CircuitOpenError",
    "ConcurrencyLimitError",
    "ConcurrencyLimiter",
    "ConcurrencyPermit",
    "ConcurrencyStats",
    "ConfigError",
    "Decision",
    "Event",
    "HostScope",
    "LimitSet",
    "LimiterStats",
    "ManualClock",
    "OverloadedError",
    "Permit",
    "ProcessScope",
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
    "Trip",
    "__version__",
]
