"""tidegate: rate limiting, circuit breaking and backpressure on one lock-free Rust core.

Times are seconds (floats; a ``timedelta`` is accepted), "never" is ``math.inf``. A refusal is a result of the plain
forms (``False``, ``None``, ``Decision.allowed``) and an exception of the waiting ones.
"""

# Loaded before any thread waits: a fork in the middle of an import would leave the child a half-made module for ever.
from . import _decorate as _decorate
from . import _waiting as _waiting
from ._classify import http
from ._tidegate import (
    Block,
    BoundedQueue,
    BreakerRegistry,
    BreakerStats,
    BucketStats,
    CircuitBreaker,
    Classifier,
    ClientThrottle,
    ClientThrottleStats,
    ConcurrencyLimiter,
    ConcurrencyPermit,
    ConcurrencyStats,
    Decision,
    Event,
    HostScope,
    LimiterStats,
    LimitSet,
    LoadShedder,
    ManualClock,
    PartitionStats,
    Permit,
    ProcessScope,
    QueueStats,
    RateLimiter,
    RegistryStats,
    Reservation,
    RetryBudget,
    RetryBudgetStats,
    Shed,
    ShedderStats,
    Tier,
    TokenBucket,
    Trip,
    __version__,
)
from ._cached import cached
from ._deadline import Deadline
from ._events import EventStream, Subscription
from ._fallback import Alternative, Fallback, FallbackStats, Outcome, QueuedCall
from ._jobs import ProcessorStats
from ._processor import Processor
from ._resilience import Resilience
from ._retry import RetryPolicy
from ._shed import Signal
from ._timeout import Timeout
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
    RetryBudgetExceededError,
    ThrottledError,
    TidegateError,
    TimeoutExceededError,
)

__all__ = [
    "Alternative",
    "ArenaError",
    "Block",
    "BoundedQueue",
    "BreakerRegistry",
    "BreakerStats",
    "BucketStats",
    "CircuitBreaker",
    "CircuitOpenError",
    "Classifier",
    "ClientThrottle",
    "ClientThrottleStats",
    "ConcurrencyLimitError",
    "ConcurrencyLimiter",
    "ConcurrencyPermit",
    "ConcurrencyStats",
    "ConfigError",
    "Deadline",
    "Decision",
    "Event",
    "EventStream",
    "Fallback",
    "FallbackStats",
    "HostScope",
    "LimitSet",
    "LimiterStats",
    "LoadShedder",
    "ManualClock",
    "Outcome",
    "OverloadedError",
    "PartitionStats",
    "Permit",
    "ProcessScope",
    "Processor",
    "ProcessorStats",
    "QueueClosedError",
    "QueueEmptyError",
    "QueueFullError",
    "QueueStats",
    "QueuedCall",
    "RateLimitedError",
    "RateLimiter",
    "RegistryStats",
    "Reservation",
    "Resilience",
    "RetryBudget",
    "RetryBudgetExceededError",
    "RetryBudgetStats",
    "RetryPolicy",
    "Shed",
    "ShedderStats",
    "Signal",
    "Subscription",
    "ThrottledError",
    "TidegateError",
    "Tier",
    "Timeout",
    "TimeoutExceededError",
    "TokenBucket",
    "Trip",
    "__version__",
    "cached",
    "http",
]
