"""The compiled part of tidegate; import ``tidegate`` instead."""

from asyncio import AbstractEventLoop
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Mapping, MutableMapping, Sequence
from datetime import timedelta
from logging import Logger, LoggerAdapter
from os import PathLike
from pathlib import Path
from types import GenericAlias, TracebackType
from typing import Any, Final, Generic, Literal, ParamSpec, TypeAlias, TypedDict, TypeVar, final, overload

from typing_extensions import disjoint_base

from ._deadline import Deadline
from ._events import EventStream, Subscription
from ._shed import Signal, Watch

_T = TypeVar("_T")
_D = TypeVar("_D")
_P = ParamSpec("_P")
_R = TypeVar("_R")

_Seconds: TypeAlias = float | timedelta
_Key: TypeAlias = str | bytes
# <names algorithms _Algorithm>
_Algorithm: TypeAlias = Literal["token_bucket", "fixed_window", "sliding_window", "sliding_log", "leaky_bucket"]
# </names>
_Scope: TypeAlias = str | HostScope | ProcessScope
_DropReason: TypeAlias = Literal["oldest", "age", "codel", "deadline", "closed"]
_OnConflict: TypeAlias = Literal["error", "keep", "apply"]
# <names states _State>
_State: TypeAlias = Literal["closed", "open", "half_open", "forced_open", "disabled", "metrics_only"]
# </names>
# <names events _EventKind>
_EventKind: TypeAlias = Literal[
    "closed",
    "opened",
    "half_opened",
    "forced_open",
    "disabled",
    "metrics_only",
    "probe_succeeded",
    "probe_failed",
    "probe_lost",
    "ramp_started",
    "ramp_ended",
    "configured",
]
# </names>
_GateOutcome: TypeAlias = Literal["success", "failure", "dropped", "cancelled"]
# <names gate_kinds _GateKind>
_GateKind: TypeAlias = Literal["access", "deadline", "shedder", "queue", "breaker", "concurrency", "limit"]
# </names>
# <names priorities _Priority>
_Priority: TypeAlias = Literal["critical", "high", "normal", "sheddable"]
# </names>
_SignalKind: TypeAlias = Literal[
    "queue_fill", "queue_delay", "in_flight", "cpu", "memory", "psi_cpu", "psi_memory", "loop_lag", "gauge"
]
_Filter: TypeAlias = type[BaseException] | Callable[[Exception], bool]
_ExceptionFilter: TypeAlias = _Filter | tuple[_Filter, ...] | list[_Filter] | list[type[BaseException]]
_Judge: TypeAlias = _Filter | Classifier
# A tuple or list; of several list types mypy would infer none for a list of both kinds.
_JudgeFilter: TypeAlias = _Judge | Sequence[_Judge]
_ResultFilter: TypeAlias = Callable[[Any], bool] | tuple[Callable[[Any], bool], ...] | list[Callable[[Any], bool]]
_Outcome: TypeAlias = Literal["success", "failure", "slow", "ignore", "unreached", "cancelled"]

__all__ = [
    "AccessList",
    "Admission",
    "ArenaView",
    "Block",
    "BoundedQueue",
    "BreakerRegistry",
    "BreakerStats",
    "BucketStats",
    "CircuitBreaker",
    "Classifier",
    "ClientAddress",
    "ClientThrottle",
    "ClientThrottleStats",
    "ClusterLimit",
    "ClusterStats",
    "ConcurrencyLimiter",
    "ConcurrencyPermit",
    "ConcurrencyStats",
    "Decision",
    "Event",
    "Gate",
    "GateStats",
    "Guarded",
    "HostScope",
    "LimitSet",
    "LimiterStats",
    "Listener",
    "LoadShedder",
    "ManualClock",
    "Outflow",
    "PartVerdict",
    "PartitionStats",
    "Permit",
    "Policies",
    "ProcessScope",
    "QueueStats",
    "RateLimiter",
    "RegistryStats",
    "Reservation",
    "RetryBudget",
    "RetryBudgetStats",
    "Schedule",
    "Shed",
    "ShedderStats",
    "Taken",
    "Tier",
    "TokenBucket",
    "Trip",
    "Waiter",
    "_PolicyFile",
    "__version__",
    "check_place",
    "circuit_refused",
    "http_answer",
    "max_retry_after_seconds",
    "metrics_content_type",
    "metrics_families",
    "metrics_name",
    "metrics_page",
    "outcome_of_status",
    "overload_retry_after",
    "policy_load",
    "policy_parse",
    "problem_body",
    "problem_of",
    "retry_after_seconds",
    "run_command",
    "try_again",
]

__version__: Final[str]

@final
class ManualClock:
    def __new__(cls, start_ns: int = 0) -> ManualClock: ...
    def advance(self, seconds: _Seconds) -> None: ...
    def set_ns(self, now_ns: int) -> None: ...
    @property
    def now_ns(self) -> int: ...

@final
class HostScope:
    def __new__(
        cls,
        name: str,
        path: str | PathLike[str] | None = None,
        capacity: int | None = None,
        group: str | int | None = None,
    ) -> HostScope: ...
    @property
    def name(self) -> str: ...
    @property
    def path(self) -> Path | None: ...
    @property
    def capacity(self) -> int | None: ...
    @property
    def group(self) -> str | None: ...
    def __eq__(self, value: object, /) -> bool: ...
    def __ne__(self, value: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __reduce__(self) -> tuple[Any, ...]: ...

@final
class ProcessScope:
    def __new__(cls, name: str, capacity: int | None = None) -> ProcessScope: ...
    @property
    def name(self) -> str: ...
    @property
    def capacity(self) -> int | None: ...
    def __eq__(self, value: object, /) -> bool: ...
    def __ne__(self, value: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __reduce__(self) -> tuple[Any, ...]: ...

@final
class Decision:
    def __new__(
        cls,
        allowed: bool,
        limit: int,
        remaining: int,
        retry_after: float,
        reset_after: float,
        delay: float = 0.0,
        denied_by: str | None = None,
    ) -> Decision: ...
    @property
    def allowed(self) -> bool: ...
    @property
    def limit(self) -> int: ...
    @property
    def remaining(self) -> int: ...
    @property
    def retry_after(self) -> float: ...
    @property
    def reset_after(self) -> float: ...
    @property
    def delay(self) -> float: ...
    @property
    def denied_by(self) -> str | None: ...
    def __bool__(self) -> bool: ...
    def __eq__(self, value: object, /) -> bool: ...
    def __ne__(self, value: object, /) -> bool: ...

@final
class Reservation:
    @property
    def wait(self) -> float: ...
    @property
    def retry_after(self) -> float: ...
    @property
    def ticket(self) -> tuple[int, int] | None: ...
    def cancel(self) -> bool: ...
    def __bool__(self) -> bool: ...

@final
class BucketStats:
    # <stats bucket>
    """Counts since the bucket was made. A call that waited counts once, as its booking was answered; `peek`
    never does."""
    @property
    def admitted(self) -> int:
        """Calls admitted, without those of `would_deny`."""
    @property
    def denied(self) -> int:
        """Calls denied."""
    @property
    def would_deny(self) -> int:
        """Calls that a dry run admitted and that would have been denied."""
    def __eq__(self, value: object, /) -> bool: ...
    def __ne__(self, value: object, /) -> bool: ...
    # </stats>

@disjoint_base
class TokenBucket:
    def __new__(
        cls,
        # <settings bucket rate period burst>
        # How many tokens come back in which time, such as "100/min" (1 token in 36 years to 100,000,000 per second).
        rate: str | float,
        # The time of a rate that is a number of tokens (above 0 to 36 years).
        per: _Seconds | None = None,
        # The most tokens at once; left out, the rate's count (1 to 4294967295).
        burst: int | None = None,
        # </settings>
        *,
        # <settings bucket warm_up warm_up_from?>
        # The time in which a new limit grows to all of itself; left out, it is whole at once (above 0 to a year).
        warm_up: _Seconds | None = None,
        # The fraction of the limit that a warm-up starts from (above 0 and up to 1; default 0.1).
        warm_up_from: float | None = None,
        # </settings>
        enabled: bool | None = None,
        dry_run: bool = False,
        clock: ManualClock | None = None,
        scope: _Scope | None = None,
        name: str | None = None,
        on_conflict: _OnConflict | None = "error",
    ) -> TokenBucket: ...
    def try_acquire(self, n: int = 1) -> bool: ...
    def check(self, n: int = 1) -> Decision: ...
    def peek(self) -> Decision: ...
    def reserve(self, n: int = 1, max_wait: _Seconds | None = None) -> Reservation: ...
    def acquire(self, n: int = 1, timeout: _Seconds | None = None) -> None: ...
    def acquire_async(self, n: int = 1, timeout: _Seconds | None = None) -> Coroutine[Any, Any, None]: ...
    def _refused(
        self, n: int, retry_after: float, timeout: float | None, name: str | None = None
    ) -> str: ...
    @property
    def _refuses(self) -> bool: ...
    def refund(self, n: int = 1) -> None: ...
    def penalize(self, wait: _Seconds) -> None: ...
    def reset(self) -> None: ...
    def set_quota(self, rate: str | float, per: _Seconds | None = None, burst: int | None = None) -> None: ...
    def stats(self) -> BucketStats: ...
    @property
    def count(self) -> int: ...
    @property
    def period(self) -> float: ...
    @property
    def burst(self) -> int: ...
    @property
    def clock(self) -> ManualClock | None: ...
    @property
    def scope(self) -> str: ...
    @property
    def name(self) -> str | None: ...

@final
class Block:
    def __new__(
        cls,
        # <settings limiter block_after! block_within! block_duration! block_growth block_max>
        # Which denial of a key blocks it; left out, none does (1 to 255).
        after: int,
        # The time, from the first of them, in which denials count (above 0 to a year).
        within: _Seconds,
        # How long the first block lasts (above 0 to a year).
        duration: _Seconds,
        # The factor from one block of a key to its next (1 or more).
        growth: float | None = 2,
        # No block is longer; at least the first; left out, 64 times that and at most a year (above 0 to a year).
        max: _Seconds | None = None,
        # </settings>
    ) -> Block: ...
    @property
    def after(self) -> int: ...
    @property
    def within(self) -> float: ...
    @property
    def duration(self) -> float: ...
    @property
    def growth(self) -> float: ...
    @property
    def max(self) -> float | None: ...
    def __eq__(self, value: object, /) -> bool: ...
    def __ne__(self, value: object, /) -> bool: ...

@final
class LimiterStats:
    # <stats limiter>
    """Counts since the limiter was made."""
    @property
    def admitted(self) -> int:
        """Calls admitted."""
    @property
    def denied(self) -> int:
        """Calls denied."""
    @property
    def would_deny(self) -> int:
        """Calls admitted by a dry run that would have been denied."""
    @property
    def evictions(self) -> int:
        """Idle keys that made room for others."""
    @property
    def overflowed(self) -> int:
        """Calls that were decided by the shared sketch, because their key found no room."""
    @property
    def blocked(self) -> int:
        """Blocks of keys that went on after being denied."""
    def __eq__(self, value: object, /) -> bool: ...
    def __ne__(self, value: object, /) -> bool: ...
    # </stats>

@final
class Tier:
    @property
    def limiter(self) -> RateLimiter: ...
    @property
    def count(self) -> int: ...
    @property
    def period(self) -> float: ...
    @property
    def burst(self) -> int: ...

@disjoint_base
class RateLimiter:
    keyed: Final = True
    def __new__(
        cls,
        # <settings limiter rate period burst>
        # How many tokens come back in which time, such as "100/min" (1 token in 36 years to 100,000,000 per second).
        rate: str | float,
        # The time of a rate that is a number of tokens (above 0 to 36 years).
        per: _Seconds | None = None,
        # The most tokens at once; left out, the rate's count (1 to 1048576).
        burst: int | None = None,
        # </settings>
        *,
        # <settings limiter max_keys algorithm fastest queue>
        # How many live keys have a cell of their own; more share a sketch, which may deny early and never admits extra
        # (1 to 100000000).
        max_keys: int | None = 100000,
        # How it counts.
        algorithm: _Algorithm | None = "token_bucket",
        # The fastest (or largest) quota that any key will ever have; left out, the rate (1 token in 36 years to
        # 100,000,000 per second).
        fastest: str | float | tuple[str | float, int] | None = None,
        # Of a leaky bucket: how many calls may wait; left out, the rate's count less one (0 to 1048575).
        queue: int | None = None,
        # </settings>
        block: Block | None = None,
        # <settings limiter warm_up warm_up_from?>
        # The time in which a new limit grows to all of itself; left out, it is whole at once (above 0 to a year).
        warm_up: _Seconds | None = None,
        # The fraction of the limit that a warm-up starts from (above 0 and up to 1; default 0.1).
        warm_up_from: float | None = None,
        # </settings>
        enabled: bool | None = None,
        dry_run: bool = False,
        # <settings limiter huge_pages>
        # Asks the kernel for huge pages under the table: fewer misses with millions of keys.
        huge_pages: bool = False,
        # </settings>
        clock: ManualClock | None = None,
        scope: _Scope | None = None,
        name: str | None = None,
        on_conflict: _OnConflict | None = "error",
    ) -> RateLimiter: ...
    def try_acquire(self, key: _Key, n: int = 1, tier: Tier | None = None) -> bool: ...
    def check(self, key: _Key, n: int = 1, tier: Tier | None = None) -> Decision: ...
    def peek(self, key: _Key, tier: Tier | None = None) -> Decision: ...
    def acquire(self, key: _Key, n: int = 1, timeout: _Seconds | None = None, tier: Tier | None = None) -> None: ...
    def acquire_async(
        self, key: _Key, n: int = 1, timeout: _Seconds | None = None, tier: Tier | None = None
    ) -> Coroutine[Any, Any, None]: ...
    def _refused(
        self, n: int, retry_after: float, timeout: float | None, tier: Tier | None = None, name: str | None = None
    ) -> str: ...
    @property
    def _refuses(self) -> bool: ...
    def refund(self, key: _Key, n: int = 1, tier: Tier | None = None) -> None: ...
    def penalize(self, key: _Key, wait: _Seconds) -> bool: ...
    def reset(self, key: _Key) -> None: ...
    def reset_all(self) -> None: ...
    def set_quota(
        self, rate: str | float, per: _Seconds | None = None, burst: int | None = None, *, queue: int | None = None
    ) -> None: ...
    def tier(
        self, rate: str | float, per: _Seconds | None = None, burst: int | None = None, *, queue: int | None = None
    ) -> Tier: ...
    def hit(self, key: _Key, n: int = 1) -> tuple[int, float]: ...
    def windows(self, key: _Key) -> tuple[int, int, float]: ...
    def stats(self) -> LimiterStats: ...
    @property
    def evictions(self) -> int: ...
    @property
    def overflowed(self) -> int: ...
    @property
    def memory(self) -> int: ...
    @property
    def max_keys(self) -> int: ...
    @property
    def algorithm(self) -> _Algorithm: ...
    @property
    def count(self) -> int: ...
    @property
    def period(self) -> float: ...
    @property
    def burst(self) -> int: ...
    @property
    def clock(self) -> ManualClock | None: ...
    @property
    def scope(self) -> str: ...
    @property
    def name(self) -> str | None: ...
    def __len__(self) -> int: ...
    def __bool__(self) -> Literal[True]: ...

@disjoint_base
class LimitSet:
    def __new__(
        cls, limits: Mapping[str, RateLimiter | TokenBucket] | None = None, /, **named: RateLimiter | TokenBucket
    ) -> LimitSet: ...
    def check(self, keys: Mapping[str, _Key] | None = None, /, n: int = 1, **named: _Key) -> Decision: ...
    def try_acquire(self, keys: Mapping[str, _Key] | None = None, /, n: int = 1, **named: _Key) -> bool: ...
    def check_each(
        self, keys: Mapping[str, _Key] | None = None, /, n: int = 1, **named: _Key
    ) -> tuple[Decision, dict[str, Decision]]: ...
    def peek(self, keys: Mapping[str, _Key] | None = None, /, n: int = 1, **named: _Key) -> Decision: ...
    def refund(self, keys: Mapping[str, _Key] | None = None, /, n: int = 1, **named: _Key) -> None: ...
    def acquire(
        self, keys: Mapping[str, _Key] | None = None, /, n: int = 1, timeout: _Seconds | None = None, **named: _Key
    ) -> None: ...
    def acquire_async(
        self, keys: Mapping[str, _Key] | None = None, /, n: int = 1, timeout: _Seconds | None = None, **named: _Key
    ) -> Coroutine[Any, Any, None]: ...
    @property
    def limits(self) -> dict[str, RateLimiter | TokenBucket]: ...
    def _refused(self, n: int, retry_after: float, timeout: float | None, denied_by: str | None) -> str: ...
    @property
    def clock(self) -> ManualClock | None: ...

@final
class Permit:
    def success(self, duration: _Seconds | None = None) -> None: ...
    def failure(self, duration: _Seconds | None = None, retry_after: _Seconds | None = None) -> None: ...
    def slow(self, duration: _Seconds | None = None) -> None: ...
    def result(self, value: object, duration: _Seconds | None = None) -> None: ...
    def error(self, error: BaseException, duration: _Seconds | None = None) -> None: ...
    def _took(self) -> float | None: ...
    def unreached(self, duration: _Seconds | None = None) -> None: ...
    def ignore(self) -> None: ...
    def release(self) -> None: ...
    def __enter__(self) -> Permit: ...
    def __exit__(
        self,
        _exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        _traceback: TracebackType | None,
    ) -> Literal[False]: ...

@disjoint_base
class Gate:
    def __new__(
        cls,
        name: str,
        *,
        limits: LimitSet | Mapping[str, RateLimiter | TokenBucket] | None = None,
        concurrency: ConcurrencyLimiter | dict[str, ConcurrencyLimiter] | None = None,
        shedder: LoadShedder | dict[str, LoadShedder] | None = None,
        queue: BoundedQueue[Any] | dict[str, BoundedQueue[Any]] | None = None,
        dependencies: dict[str, CircuitBreaker] | None = None,
        access: AccessList | None = None,
        refund_on: Iterable[_GateOutcome] = (),
        enabled: bool | None = None,
        dry_run: bool = False,
    ) -> Gate: ...
    def admit(
        self,
        keys: Mapping[str, _Key] | None = None,
        priority: _Priority = "normal",
        cost: int = 1,
        deadline: _Seconds | Deadline | None = None,
        dependencies: tuple[str, ...] | list[str] = (),
        *,
        address: str | None = None,
        level: int = 0,
        partition: str | None = None,
    ) -> Admission: ...
    def enter(
        self,
        keys: Mapping[str, _Key] | None = None,
        priority: _Priority = "normal",
        cost: int = 1,
        deadline: _Seconds | Deadline | None = None,
        dependencies: tuple[str, ...] | list[str] = (),
        *,
        address: str | None = None,
        level: int = 0,
        partition: str | None = None,
    ) -> Admission: ...
    def explain(
        self,
        keys: Mapping[str, _Key] | None = None,
        priority: _Priority = "normal",
        cost: int = 1,
        deadline: _Seconds | Deadline | None = None,
        dependencies: tuple[str, ...] | list[str] = (),
        *,
        address: str | None = None,
        level: int = 0,
        partition: str | None = None,
    ) -> list[PartVerdict]: ...
    def call(
        self,
        function: Callable[[Admission], _T],
        /,
        keys: Mapping[str, _Key] | None = None,
        priority: _Priority = "normal",
        cost: int = 1,
        deadline: _Seconds | Deadline | None = None,
        dependencies: tuple[str, ...] | list[str] = (),
        *,
        address: str | None = None,
        level: int = 0,
        partition: str | None = None,
        fallback: Any = None,
    ) -> _T | Any: ...
    def call_async(
        self,
        function: Callable[[Admission], Awaitable[_T]],
        /,
        keys: Mapping[str, _Key] | None = None,
        priority: _Priority = "normal",
        cost: int = 1,
        deadline: _Seconds | Deadline | None = None,
        dependencies: tuple[str, ...] | list[str] = (),
        *,
        address: str | None = None,
        level: int = 0,
        partition: str | None = None,
        fallback: Any = None,
    ) -> Coroutine[Any, Any, _T | Any]: ...
    def stats(self) -> GateStats: ...
    @property
    def name(self) -> str: ...
    @property
    def _refuses(self) -> bool: ...
    @property
    def limits(self) -> LimitSet | None: ...
    @property
    def concurrency(self) -> ConcurrencyLimiter | None: ...
    @property
    def shedder(self) -> LoadShedder | None: ...
    @property
    def queue(self) -> BoundedQueue[Any] | None: ...
    @property
    def access(self) -> AccessList | None: ...
    @property
    def dependencies(self) -> dict[str, CircuitBreaker]: ...

@final
class Admission:
    @property
    def allowed(self) -> bool: ...
    @property
    def denied_by(self) -> str | None: ...
    @property
    def kind(self) -> _GateKind | None: ...
    @property
    def status(self) -> int | None: ...
    @property
    def retry_after(self) -> float: ...
    @property
    def limit(self) -> int: ...
    @property
    def remaining(self) -> int: ...
    @property
    def reset_after(self) -> float: ...
    @property
    def delay(self) -> float: ...
    @property
    def pressure(self) -> float: ...
    @property
    def gate(self) -> Gate: ...
    def breaker(self, dependency: str, /) -> Permit: ...
    def finish(self, outcome: _GateOutcome = "success") -> bool: ...
    @property
    def _retry_after(self) -> int | None: ...
    def _subject(self) -> str: ...
    def _circuit(self) -> CircuitBreaker | None: ...
    def __bool__(self) -> bool: ...
    def __enter__(self) -> Admission: ...
    def __exit__(
        self,
        _exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        _traceback: TracebackType | None,
    ) -> Literal[False]: ...
    def __aenter__(self) -> Coroutine[Any, Any, Admission]: ...
    def __aexit__(
        self,
        _exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        _traceback: TracebackType | None,
    ) -> Coroutine[Any, Any, None]: ...

@final
class PartVerdict:
    @property
    def kind(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def allowed(self) -> bool: ...
    @property
    def retry_after(self) -> float: ...
    @property
    def detail(self) -> str: ...

@final
class GateStats:
    # <stats gate>
    """Counts since the gate was made, of this process."""
    @property
    def admitted(self) -> int:
        """Calls that were let in, with those of `would_deny`."""
    @property
    def denied(self) -> int:
        """Calls that were refused."""
    @property
    def would_deny(self) -> int:
        """Calls that a dry run let in and would have refused."""
    @property
    def denied_access(self) -> int:
        """Those that were refused, by the kind of the part that the answer named: `access`. The access list: the
        client is on its deny list."""
    @property
    def denied_deadline(self) -> int:
        """Those that were refused, by the kind of the part that the answer named: `deadline`. The call's own time is
        over, or shorter than calls wait behind the gate."""
    @property
    def denied_shedder(self) -> int:
        """Those that were refused, by the kind of the part that the answer named: `shedder`. The load shedder."""
    @property
    def denied_queue(self) -> int:
        """Those that were refused, by the kind of the part that the answer named: `queue`. The queue takes nothing
        now."""
    @property
    def denied_breaker(self) -> int:
        """Those that were refused, by the kind of the part that the answer named: `breaker`. The circuit of a
        dependency is open."""
    @property
    def denied_concurrency(self) -> int:
        """Those that were refused, by the kind of the part that the answer named: `concurrency`. The concurrency
        limit is reached."""
    @property
    def denied_limit(self) -> int:
        """Those that were refused, by the kind of the part that the answer named: `limit`. A rate limit."""
    def __eq__(self, value: object, /) -> bool: ...
    def __ne__(self, value: object, /) -> bool: ...
    # </stats>

@final
class AccessList:
    def __new__(cls, allow: Sequence[str] = (), deny: Sequence[str] = ()) -> AccessList: ...
    def verdict(self, address: str | None = None, key: _Key | None = None) -> Literal["allow", "deny"] | None: ...

@final
class ClientAddress:
    def __new__(
        cls,
        trusted: Sequence[str] = (),
        header: str = "x-forwarded-for",
        *,
        ipv4_prefix: int = 32,
        ipv6_prefix: int = 64,
    ) -> ClientAddress: ...
    @property
    def header(self) -> str | None: ...
    def key(self, peer: str, lines: Sequence[bytes] = ()) -> str: ...
    def address(self, peer: str, lines: Sequence[bytes] = ()) -> str | None: ...

@final
class Policies:
    def __new__(
        cls,
        limit: Any = None,
        name: str = "default",
        *,
        legacy: bool = False,
        unit: str | None = None,
        jitter: float = 0.0,
    ) -> Policies: ...
    def tell(
        self, decision: Decision, each: dict[str, Decision] | None = None
    ) -> tuple[list[tuple[bytes, bytes]], int]: ...
    def look(self, keys: Mapping[str, _Key], n: int) -> tuple[list[tuple[bytes, bytes]], int]: ...
    def take(self, keys: _Key | None, n: int, show: bool = True) -> Taken: ...
    def serve(
        self,
        n: int,
        source: ClientAddress | bytes | None,
        client: ClientAddress | None,
        show: bool,
        scope: MutableMapping[str, Any],
    ) -> Taken | None: ...

@final
class Taken:
    def __new__(
        cls,
        limit: object,
        keys: object,
        n: int,
        decision: Decision,
        fields: list[tuple[bytes, bytes]],
        retry_after: int,
        policy: str,
    ) -> Taken: ...
    @property
    def limit(self) -> Any: ...
    @property
    def keys(self) -> Any: ...
    @property
    def n(self) -> int: ...
    @property
    def decision(self) -> Decision: ...
    @property
    def fields(self) -> list[tuple[bytes, bytes]]: ...
    @property
    def retry_after(self) -> int: ...
    @property
    def policy(self) -> str: ...
    def claim_refund(self) -> bool: ...

@final
class _PolicyFile:
    def read_again(self, text: str | None) -> tuple[str, ...]: ...
    def accept(self) -> int | tuple[str, str]: ...
    def problem(self, section: str, name: str, message: str) -> tuple[str, str]: ...
    def on_conflict(self) -> Literal["apply", "keep"] | tuple[str, str]: ...
    @property
    def generation(self) -> int: ...
    @property
    def in_force(self) -> tuple[str, int] | None: ...

@final
class Outflow:
    def __new__(cls) -> Outflow: ...
    def retry_after(self, now_ns: int, depth: int, left: int) -> float: ...

def check_place(
    scope: str | HostScope | ProcessScope | None, name: str | None, on_conflict: _OnConflict | None
) -> None: ...
def problem_body(kind: str, status: int | None, detail: str | None, violated: Sequence[str]) -> tuple[int, bytes]: ...
def metrics_content_type(format: str | None, accept: str) -> tuple[str, str]: ...
def metrics_families() -> list[tuple[str, str, str]]: ...
def metrics_name(object: object) -> tuple[str, str, str | None]: ...
def metrics_page(
    format: str,
    arena: ArenaView | None,
    objects: Sequence[tuple[str, Any]],
    policy: tuple[str, int, int] | None = None,
) -> str: ...
def policy_load(path: str) -> tuple[Any, ...]: ...
def policy_parse(text: str) -> tuple[Any, ...]: ...
def overload_retry_after(depth: int, done: int, window: _Seconds, draw: float) -> int: ...
def problem_of(
    part: _GateKind,
) -> Literal["quota_exceeded", "temporary_reduced_capacity", "abnormal_usage_detected", "forbidden", "timeout"]: ...
def outcome_of_status(status: int) -> _GateOutcome: ...
def retry_after_seconds(seconds: float) -> int: ...
def try_again(retry_after: float) -> str: ...
def http_answer(
    status: int, retry_after: str | None, retry_after_ms: str | None, date: str | None, now: float, most: float
) -> tuple[bool, float | None]: ...
def max_retry_after_seconds(value: _Seconds) -> float: ...
def circuit_refused(
    breaker: str, retry_after: float, trip: Trip | None, ramping: bool = False
) -> str: ...
def run_command(argv: list[str]) -> int: ...

@final
class BreakerStats:
    # <stats breaker>
    """A look at a breaker."""
    @property
    def state(self) -> _State:
        """Where it stands."""
    @property
    def ramping(self) -> bool:
        """Closed, and calls come back by degrees: until somebody asks for one after the ramp's end."""
    @property
    def calls(self) -> int:
        """Calls in the window."""
    @property
    def failed(self) -> int:
        """Failed calls in the window."""
    @property
    def slow(self) -> int:
        """Slow calls in the window."""
    @property
    def failure_rate(self) -> float:
        """`failed / calls`, 0 without calls."""
    @property
    def slow_call_rate(self) -> float:
        """`slow / calls`, 0 without calls."""
    @property
    def rejected(self) -> int:
        """Calls refused since the breaker was made."""
    @property
    def opened(self) -> int:
        """How often it opened by itself since it was made."""
    @property
    def retry_after(self) -> float:
        """Seconds until a probe may be tried; 0 when not open, `math.inf` while forced open."""
    @property
    def last_trip(self) -> Trip | None:
        """What last opened it by itself: the window above begins empty with every state. `None`: it never did."""
    def __eq__(self, value: object, /) -> bool: ...
    def __ne__(self, value: object, /) -> bool: ...
    # </stats>

@final
class Trip:
    def __new__(cls, calls: int, failed: int, slow: int) -> Trip: ...
    @property
    def calls(self) -> int: ...
    @property
    def failed(self) -> int: ...
    @property
    def slow(self) -> int: ...
    @property
    def failure_rate(self) -> float: ...
    @property
    def slow_call_rate(self) -> float: ...
    def __eq__(self, value: object, /) -> bool: ...
    def __ne__(self, value: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class Event:
    @property
    def seq(self) -> int: ...
    @property
    def kind(self) -> _EventKind: ...
    @property
    def at(self) -> float: ...
    @property
    def trip(self) -> Trip | None: ...
    def __eq__(self, value: object, /) -> bool: ...
    def __ne__(self, value: object, /) -> bool: ...

@final
class Classifier:
    def __new__(
        cls,
        *,
        failure_on: _ExceptionFilter | None = None,
        failure_result: _ResultFilter | None = None,
        slow: _ResultFilter | None = None,
        ignore: _ExceptionFilter | None = None,
        unreached: _ExceptionFilter | None = None,
        retry_after: Callable[[Any], _Seconds | None] | None = None,
        slow_call_duration: _Seconds | None = None,
    ) -> Classifier: ...
    def error(self, error: BaseException, duration: _Seconds | None = None) -> tuple[_Outcome, float | None]: ...
    def result(self, result: object, duration: _Seconds | None = None) -> tuple[_Outcome, float | None]: ...
    @property
    def slow_call_duration(self) -> float | None: ...

@disjoint_base
class CircuitBreaker:
    def __new__(
        cls,
        name: str | None = "default",
        *,
        # <settings breaker>
        # Rates are taken over the last N calls (1 to 65536).
        window_calls: int | None = 20,
        # Rates are taken over the calls of the last T instead (0.001 s to a year).
        window_duration: _Seconds | None = None,
        # Opens when failed / calls reaches this (above 0 and up to 1).
        failure_rate_threshold: float | None = 0.5,
        # A call that takes this long is slow; left out, none is (above 0).
        slow_call_duration: _Seconds | None = None,
        # Opens when slow / calls reaches this (above 0 and up to 1).
        slow_call_rate_threshold: float | None = 1,
        # Opens at this many failures in a row, whatever the rates; left out, at none (1 to 4294967295).
        consecutive_failures: int | None = None,
        # The rates say nothing below; at most the window's calls (1 to 4294967295).
        min_calls: int | None = 10,
        # How long it stays open (0.001 s to a year).
        cooldown: _Seconds | None = 30,
        # Each opening from half-open multiplies the cooldown by this (1 or more).
        cooldown_backoff: float | None = 1,
        # No cooldown is longer; at least the cooldown; left out, 64 times that (0.001 s to a year).
        max_cooldown: _Seconds | None = None,
        # Lengthens the cooldown by a random part of up to this fraction (0 to 1).
        cooldown_jitter: float | None = 0,
        # How many probes a half-open cycle takes (1 to 1024).
        probes: int | None = 1,
        # A probe that has not reported by then is lost (0.001 s to a year).
        probe_timeout: _Seconds | None = 60,
        # Opens again when this share of a cycle's probes failed; left out, the failure rate above (above 0 and up to
        # 1).
        probe_failure_rate_threshold: float | None = None,
        # How many probes may be under way together, at most all of them; left out, all (1 to 1024).
        probes_at_once: int | None = None,
        # The backoff starts again after so long without a trip; left out, after the last cooldown (0.001 s to a year).
        healthy_after: _Seconds | None = None,
        # The time after closing in which a call's chance to pass grows to 1; left out, all pass at once (0.001 s to a
        # year).
        ramp: _Seconds | None = None,
        # The chance of a call to pass right after closing (above 0 and up to 1).
        ramp_from: float | None = 0.1,
        # </settings>
        count_overdue: bool | None = False,
        failure_on: _ExceptionFilter | None = None,
        failure_result: _ResultFilter | None = None,
        slow: _ResultFilter | None = None,
        ignore: _ExceptionFilter | None = None,
        unreached: _ExceptionFilter | None = None,
        classifier: Classifier | None = None,
        clock: ManualClock | None = None,
        scope: _Scope | None = None,
        on_conflict: _OnConflict | None = "error",
    ) -> CircuitBreaker: ...
    def acquire(self) -> Permit: ...
    def acquire_with(self, draw: float) -> Permit: ...
    def try_acquire(self) -> Permit | None: ...
    def _acquire_timed(self) -> Permit: ...
    def call(self, func: Callable[_P, _R], /, *args: _P.args, **kwargs: _P.kwargs) -> _R: ...
    def call_async(
        self, func: Callable[_P, Awaitable[_R]], /, *args: _P.args, **kwargs: _P.kwargs
    ) -> Coroutine[Any, Any, _R]: ...
    def __call__(self, func: Callable[_P, _R], /) -> Callable[_P, _R]: ...
    @property
    def name(self) -> str: ...
    @property
    def scope(self) -> str: ...
    @property
    def state(self) -> _State: ...
    @property
    def retry_after(self) -> float: ...
    @property
    def clock(self) -> ManualClock | None: ...
    def stats(self) -> BreakerStats: ...
    def events(self, since: int = 0) -> list[Event]: ...
    def events_async(self, since: int | None = None) -> EventStream: ...
    def on_event(
        self,
        callback: Callable[[Event], object] | None = None,
        /,
        *,
        kinds: _EventKind | Iterable[_EventKind] | None = None,
        loop: AbstractEventLoop | None = None,
        logger: Logger | LoggerAdapter[Any] | None = None,
    ) -> Subscription: ...
    @property
    def config(self) -> dict[str, Any]: ...
    @property
    def _listeners(self) -> list[Subscription]: ...
    def set_config(
        self,
        *,
        # <changes breaker>
        window_calls: int | None = ...,
        window_duration: _Seconds | None = ...,
        failure_rate_threshold: float | None = ...,
        slow_call_duration: _Seconds | None = ...,
        slow_call_rate_threshold: float | None = ...,
        consecutive_failures: int | None = ...,
        min_calls: int | None = ...,
        cooldown: _Seconds | None = ...,
        cooldown_backoff: float | None = ...,
        max_cooldown: _Seconds | None = ...,
        cooldown_jitter: float | None = ...,
        probes: int | None = ...,
        probe_timeout: _Seconds | None = ...,
        probe_failure_rate_threshold: float | None = ...,
        probes_at_once: int | None = ...,
        healthy_after: _Seconds | None = ...,
        ramp: _Seconds | None = ...,
        ramp_from: float | None = ...,
        # </changes>
        count_overdue: bool | None = ...,
    ) -> None: ...
    def force_open(self) -> None: ...
    def disable(self) -> None: ...
    def metrics_only(self) -> None: ...
    def reset(self) -> None: ...

class _BreakerSettings(TypedDict, total=False):
    # <members breaker>
    window_calls: int | None
    window_duration: _Seconds | None
    failure_rate_threshold: float | None
    slow_call_duration: _Seconds | None
    slow_call_rate_threshold: float | None
    consecutive_failures: int | None
    min_calls: int | None
    cooldown: _Seconds | None
    cooldown_backoff: float | None
    max_cooldown: _Seconds | None
    cooldown_jitter: float | None
    probes: int | None
    probe_timeout: _Seconds | None
    probe_failure_rate_threshold: float | None
    probes_at_once: int | None
    healthy_after: _Seconds | None
    ramp: _Seconds | None
    ramp_from: float | None
    # </members>
    count_overdue: bool | None

@disjoint_base
class BreakerRegistry:
    def __new__(
        cls,
        # <settings registry>
        # How many keys can have a breaker; about 4 KiB each, taken at once (1 to 65536).
        max_breakers: int | None = 1024,
        # </settings>
        *,
        overrides: Mapping[str, _BreakerSettings] | Mapping[bytes, _BreakerSettings] | None = None,
        # <settings breaker>
        # Rates are taken over the last N calls (1 to 65536).
        window_calls: int | None = 20,
        # Rates are taken over the calls of the last T instead (0.001 s to a year).
        window_duration: _Seconds | None = None,
        # Opens when failed / calls reaches this (above 0 and up to 1).
        failure_rate_threshold: float | None = 0.5,
        # A call that takes this long is slow; left out, none is (above 0).
        slow_call_duration: _Seconds | None = None,
        # Opens when slow / calls reaches this (above 0 and up to 1).
        slow_call_rate_threshold: float | None = 1,
        # Opens at this many failures in a row, whatever the rates; left out, at none (1 to 4294967295).
        consecutive_failures: int | None = None,
        # The rates say nothing below; at most the window's calls (1 to 4294967295).
        min_calls: int | None = 10,
        # How long it stays open (0.001 s to a year).
        cooldown: _Seconds | None = 30,
        # Each opening from half-open multiplies the cooldown by this (1 or more).
        cooldown_backoff: float | None = 1,
        # No cooldown is longer; at least the cooldown; left out, 64 times that (0.001 s to a year).
        max_cooldown: _Seconds | None = None,
        # Lengthens the cooldown by a random part of up to this fraction (0 to 1).
        cooldown_jitter: float | None = 0,
        # How many probes a half-open cycle takes (1 to 1024).
        probes: int | None = 1,
        # A probe that has not reported by then is lost (0.001 s to a year).
        probe_timeout: _Seconds | None = 60,
        # Opens again when this share of a cycle's probes failed; left out, the failure rate above (above 0 and up to
        # 1).
        probe_failure_rate_threshold: float | None = None,
        # How many probes may be under way together, at most all of them; left out, all (1 to 1024).
        probes_at_once: int | None = None,
        # The backoff starts again after so long without a trip; left out, after the last cooldown (0.001 s to a year).
        healthy_after: _Seconds | None = None,
        # The time after closing in which a call's chance to pass grows to 1; left out, all pass at once (0.001 s to a
        # year).
        ramp: _Seconds | None = None,
        # The chance of a call to pass right after closing (above 0 and up to 1).
        ramp_from: float | None = 0.1,
        # </settings>
        count_overdue: bool | None = False,
        failure_on: _ExceptionFilter | None = None,
        failure_result: _ResultFilter | None = None,
        slow: _ResultFilter | None = None,
        ignore: _ExceptionFilter | None = None,
        unreached: _ExceptionFilter | None = None,
        classifier: Classifier | None = None,
        clock: ManualClock | None = None,
        scope: _Scope | None = None,
        name: str | None = None,
        on_conflict: _OnConflict | None = "error",
    ) -> BreakerRegistry: ...
    def get(self, key: _Key) -> CircuitBreaker: ...
    def peek(self, key: _Key) -> CircuitBreaker | None: ...
    def remove(self, key: _Key) -> bool: ...
    def items(self) -> list[tuple[_Key, CircuitBreaker]]: ...
    def set_config(
        self,
        pattern: _Key,
        *,
        # <changes breaker>
        window_calls: int | None = ...,
        window_duration: _Seconds | None = ...,
        failure_rate_threshold: float | None = ...,
        slow_call_duration: _Seconds | None = ...,
        slow_call_rate_threshold: float | None = ...,
        consecutive_failures: int | None = ...,
        min_calls: int | None = ...,
        cooldown: _Seconds | None = ...,
        cooldown_backoff: float | None = ...,
        max_cooldown: _Seconds | None = ...,
        cooldown_jitter: float | None = ...,
        probes: int | None = ...,
        probe_timeout: _Seconds | None = ...,
        probe_failure_rate_threshold: float | None = ...,
        probes_at_once: int | None = ...,
        healthy_after: _Seconds | None = ...,
        ramp: _Seconds | None = ...,
        ramp_from: float | None = ...,
        # </changes>
        count_overdue: bool | None = ...,
    ) -> None: ...
    def stats(self) -> RegistryStats: ...
    def __len__(self) -> int: ...
    def __contains__(self, key: _Key, /) -> bool: ...
    @property
    def overflow(self) -> CircuitBreaker: ...
    @property
    def max_breakers(self) -> int: ...
    @property
    def clock(self) -> ManualClock | None: ...
    @property
    def scope(self) -> str: ...
    @property
    def name(self) -> str | None: ...

@final
class RegistryStats:
    # <stats registry>
    """A look at a registry."""
    @property
    def breakers(self) -> int:
        """Keys that have a breaker."""
    @property
    def max_breakers(self) -> int:
        """How many can have one."""
    @property
    def evicted(self) -> int:
        """Breakers that made room for others since the registry was made."""
    @property
    def overflowed(self) -> int:
        """How often a key found no room and shared the overflow breaker."""
    def __eq__(self, value: object, /) -> bool: ...
    def __ne__(self, value: object, /) -> bool: ...
    # </stats>

@final
class Guarded(Generic[_P, _R]):
    def __new__(cls, breaker: CircuitBreaker, func: Callable[_P, _R]) -> Guarded[_P, _R]: ...
    @property
    def breaker(self) -> CircuitBreaker: ...
    def __call__(self, /, *args: _P.args, **kwargs: _P.kwargs) -> _R: ...
    def __get__(self, instance: object, owner: Any = None, /) -> Any: ...

@final
class ConcurrencyStats:
    # <stats concurrency>
    """Counts since the limiter was made."""
    @property
    def limit(self) -> int:
        """The limit in force."""
    @property
    def in_use(self) -> int:
        """Permits held now."""
    @property
    def admitted(self) -> int:
        """Calls admitted."""
    @property
    def denied(self) -> int:
        """Calls that got no permit: `refused`, `timed_out` and `cancelled` together."""
    @property
    def refused(self) -> int:
        """Calls refused without a wait."""
    @property
    def timed_out(self) -> int:
        """Waits that ended at their deadline."""
    @property
    def cancelled(self) -> int:
        """Waits that were given up before: a future dropped, a task cancelled, a signal aborted. In C none can be."""
    @property
    def waiting(self) -> int:
        """Calls that wait now; in a named scope those of all processes, as each said when it last looked, in the
        last second."""
    @property
    def longest_wait(self) -> float:
        """The longest wait so far, of those that have ended and of those who wait now. In seconds."""
    @property
    def would_deny(self) -> int:
        """Calls admitted by a dry run that would have been denied."""
    @property
    def reclaimed(self) -> int:
        """Permits taken back from processes that died (host scope)."""
    def __eq__(self, value: object, /) -> bool: ...
    def __ne__(self, value: object, /) -> bool: ...
    # </stats>

@final
class PartitionStats:
    # <stats partition>
    """A partition now, and its counts since the limiter was made."""
    @property
    def share(self) -> float:
        """Its share of the limit."""
    @property
    def guaranteed(self) -> int:
        """The places that it is guaranteed of the limit in force."""
    @property
    def in_use(self) -> int:
        """Permits that it holds now."""
    @property
    def called_back(self) -> int:
        """Places beside those that are kept for it now, as calls of it have been refused: nobody else has more of
        what is free."""
    @property
    def admitted(self) -> int:
        """Calls admitted."""
    @property
    def denied(self) -> int:
        """Calls that got no permit, at once or after a wait."""
    @property
    def would_deny(self) -> int:
        """Calls admitted by a dry run that would have been denied."""
    def __eq__(self, value: object, /) -> bool: ...
    def __ne__(self, value: object, /) -> bool: ...
    # </stats>

@final
class ConcurrencyPermit:
    def release(self) -> bool: ...
    def success(self, latency: float | timedelta | None = None) -> bool: ...
    def ignore(self) -> bool: ...
    def dropped(self, latency: float | timedelta | None = None) -> bool: ...
    def __enter__(self) -> ConcurrencyPermit: ...
    def __exit__(
        self,
        _exc_type: type[BaseException] | None,
        _exc_value: BaseException | None,
        _traceback: TracebackType | None,
    ) -> Literal[False]: ...
    def __aenter__(self) -> Coroutine[Any, Any, ConcurrencyPermit]: ...
    def __aexit__(
        self,
        _exc_type: type[BaseException] | None,
        _exc_value: BaseException | None,
        _traceback: TracebackType | None,
    ) -> Coroutine[Any, Any, None]: ...

@disjoint_base
class ConcurrencyLimiter:
    def __new__(
        cls,
        # <settings concurrency limit>
        # The most at once; at most what it may be raised to (1 to 4096).
        limit: int,
        # </settings>
        max_wait: _Seconds | None = 0,
        *,
        # <settings concurrency max_limit max_waiting order>
        # What the limit may be raised to: a place for each is kept; left out, the limit (1 to 4096).
        max_limit: int | None = None,
        # The most that wait at once in a process, who comes then is refused at once; left out, any number (1 to
        # 1000000).
        max_waiting: int | None = None,
        # Who of those that wait is served first: who has waited longest, or who came last.
        order: Literal["fifo", "lifo"] | None = "fifo",
        # </settings>
        partitions: Mapping[str, float] | None = None,
        priority: Iterable[str] | None = None,
        retry_after: _Seconds | None = None,
        scope: _Scope | None = None,
        name: str | None = None,
        on_conflict: _OnConflict | None = "error",
        enabled: bool | None = None,
        dry_run: bool = False,
    ) -> ConcurrencyLimiter: ...
    @classmethod
    def adaptive(
        cls,
        # <settings adaptive algorithm>
        # How the limit moves; the others are Netflix's, for those who migrate, with Netflix's defaults.
        algorithm: Literal["gradient", "gradient2", "vegas", "aimd"] | None = "gradient",
        # </settings>
        *,
        # <settings adaptive min_limit initial_limit max_limit>
        # The limit never falls below; 20 by default with gradient2 and aimd (1 to 4096).
        min_limit: int | None = 1,
        # Where the limit begins (1 to 4096).
        initial_limit: int | None = 20,
        # The limit never rises above; 200 by default with gradient2 and aimd (1 to 4096).
        max_limit: int | None = 1000,
        # </settings>
        max_wait: _Seconds | None = 0,
        # <settings concurrency max_waiting order>
        # The most that wait at once in a process, who comes then is refused at once; left out, any number (1 to
        # 1000000).
        max_waiting: int | None = None,
        # Who of those that wait is served first: who has waited longest, or who came last.
        order: Literal["fifo", "lifo"] | None = "fifo",
        # </settings>
        partitions: Mapping[str, float] | None = None,
        priority: Iterable[str] | None = None,
        retry_after: _Seconds | None = None,
        # <settings adaptive tolerance window samples max_window min_samples>
        # How many times the latency of an unloaded call the median may be; 1.5 by default with gradient2 (1 to 100).
        tolerance: float | None = 2,
        # The limit moves once in so long; 1 s by default with Netflix's (0.01 s to 3600 s).
        window: _Seconds | None = 0.5,
        # And when a window has so many samples; 10 by default with Netflix's (1 to 1000000).
        samples: int | None = 20,
        # A window with fewer samples ends after so long (0.01 s to 3600 s).
        max_window: _Seconds | None = 5,
        # A window with fewer samples changes nothing (1 to 1000000).
        min_samples: int | None = 5,
        # </settings>
        # <settings adaptive probe probe_every probe_floor max_latency base timeout backoff_ratio>
        # Whether the latency of an unloaded call is probed for.
        probe: bool = True,
        # After so long without an unloaded look a saturated limit probes, up to 15 % later (5 s to 86400 s).
        probe_every: _Seconds | None = 60,
        # The least limit of a probe; left out, min_limit (1 to 4096).
        probe_floor: int | None = None,
        # A median above it always lowers the limit and teaches nothing (0.001 s to 3600 s).
        max_latency: _Seconds | None = None,
        # The latency of an unloaded call, where it is known: it is not measured then (0.000001 s to 3600 s).
        base: _Seconds | None = None,
        # Aimd: a mean latency above it is a drop (0.001 s to 3600 s).
        timeout: _Seconds | None = 5,
        # Aimd: what a drop leaves of the limit (0.5 to 0.999).
        backoff_ratio: float | None = 0.9,
        # </settings>
        clock: ManualClock | None = None,
        scope: _Scope | None = None,
        name: str | None = None,
        on_conflict: _OnConflict | None = "error",
        enabled: bool | None = None,
        dry_run: bool = False,
    ) -> ConcurrencyLimiter: ...
    def try_acquire(self, partition: str | None = None) -> ConcurrencyPermit | None: ...
    def explain(self) -> list[str]: ...
    def acquire(self, timeout: _Seconds | None = ..., *, partition: str | None = None) -> ConcurrencyPermit: ...
    def acquire_async(
        self, timeout: _Seconds | None = ..., *, partition: str | None = None
    ) -> Coroutine[Any, Any, ConcurrencyPermit]: ...
    @overload
    def __call__(self, func: Callable[_P, _R], /, *, partition: str | None = None) -> Callable[_P, _R]: ...
    @overload
    def __call__(self, func: None = None, /, *, partition: str) -> Callable[[Callable[_P, _R]], Callable[_P, _R]]: ...
    def _at_once(self, partition: str | None = None) -> ConcurrencyPermit | None: ...
    def _refused(self, timeout: float | None) -> str: ...
    def _wait(self, callback: Callable[[], object], partition: str | None = None) -> Waiter: ...
    def set_limit(self, limit: int) -> None: ...
    def set_shares(self, shares: Mapping[str, float]) -> None: ...
    @property
    def shares(self) -> dict[str, float]: ...
    def stats(self) -> ConcurrencyStats: ...
    def partition_stats(self) -> dict[str, PartitionStats]: ...
    @property
    def limit(self) -> int: ...
    @property
    def retry_after(self) -> float: ...
    @property
    def in_use(self) -> int: ...
    @property
    def max_wait(self) -> float: ...
    @property
    def scope(self) -> str: ...
    @property
    def name(self) -> str | None: ...

@disjoint_base
class RetryBudget:
    def __new__(
        cls,
        # <settings retry_budget>
        # Retries that each call pays in (0 to 1).
        ratio: float | None = 0.2,
        # Retries that each second pays in (0 to 10000).
        min_per_second: float | None = 10,
        # At most what seconds pay in for so long is saved up, and at least one retry (0.001 s to 86400 s).
        ttl: _Seconds | None = 10,
        # </settings>
        *,
        clock: ManualClock | None = None,
        scope: _Scope | None = None,
        name: str | None = None,
        on_conflict: _OnConflict | None = "error",
        enabled: bool | None = None,
        dry_run: bool = False,
    ) -> RetryBudget: ...
    def deposit(self) -> None: ...
    def try_withdraw(self) -> bool: ...
    def stats(self) -> RetryBudgetStats: ...
    @property
    def balance(self) -> int: ...
    @property
    def retry_after(self) -> float: ...
    @property
    def ratio(self) -> float: ...
    @property
    def clock(self) -> ManualClock | None: ...
    @property
    def scope(self) -> str: ...
    @property
    def name(self) -> str | None: ...

@final
class RetryBudgetStats:
    # <stats retry_budget>
    """Counts since the budget was made."""
    @property
    def deposited(self) -> int:
        """Calls paid in."""
    @property
    def withdrawn(self) -> int:
        """Retries paid for, without those of `would_deny`."""
    @property
    def denied(self) -> int:
        """Retries refused."""
    @property
    def would_deny(self) -> int:
        """Retries that a dry run let through and that would have been refused."""
    @property
    def balance(self) -> int:
        """Whole retries that could be withdrawn now."""
    def __eq__(self, value: object, /) -> bool: ...
    def __ne__(self, value: object, /) -> bool: ...
    # </stats>

@final
class ArenaView:
    @staticmethod
    def of(scope: str | HostScope | ProcessScope | None) -> ArenaView | None: ...
    @staticmethod
    def look(scope: str | HostScope | ProcessScope | None) -> ArenaView | None: ...
    def limiters(self) -> list[tuple[str, int]]: ...

@final
class Schedule:
    def __new__(
        cls,
        attempts: int | float | None,
        base: _Seconds,
        factor: float,
        max_delay: _Seconds,
        jitter: str,
        deadline: _Seconds | None,
        max_retry_after: _Seconds,
    ) -> Schedule: ...
    def next(
        self, attempts: int, previous: float, retry_after: float, elapsed: float, random: float | None = None
    ) -> tuple[float | None, float]: ...
    def delay(self, n: int, previous: float, random: float | None = None) -> tuple[float, float]: ...
    @property
    def attempts(self) -> int | None: ...
    @property
    def base(self) -> float: ...
    @property
    def factor(self) -> float: ...
    @property
    def max_delay(self) -> float: ...
    @property
    def jitter(self) -> str: ...
    @property
    def deadline(self) -> float | None: ...
    @property
    def max_retry_after(self) -> float: ...

@disjoint_base
class ClusterLimit:
    def __new__(
        cls,
        # <settings bucket rate period burst>
        # How many tokens come back in which time, such as "100/min" (1 token in 36 years to 100,000,000 per second).
        rate: str | float,
        # The time of a rate that is a number of tokens (above 0 to 36 years).
        per: _Seconds | None = None,
        # The most tokens at once; left out, the rate's count (1 to 4294967295).
        burst: int | None = None,
        # </settings>
        *,
        scope: str | HostScope | ProcessScope | None = None,
        name: str | None = None,
        # <settings cluster_limit>
        # From one question to the store to the next; left out, burst / rate / 4, within 10 to 100 ms (0.01 s to 10 s).
        sync: _Seconds | None = None,
        # How long a host may spend what it leased without hearing from the store; left out, 5 times sync (0.02 s to 600
        # s).
        lease: _Seconds | None = None,
        # How long to wait for the store (0.001 s to 10 s).
        timeout: _Seconds | None = 0.1,
        # The most tokens that all hosts hold at once, less than the burst; left out, half of it (1 to 16777215).
        max_outstanding: int | None = None,
        # What a host does when its lease has ended and the store does not answer: deny, or admit its share.
        on_unreachable: Literal["deny", "local"] | None = "deny",
        # An upper bound of how many hosts there are; for on_unreachable "local" alone, which needs it (1 to
        # 4294967295).
        hosts: int | None = None,
        # How long a host goes on with its share (0.001 s to 86400 s).
        fallback_for: _Seconds | None = 60,
        # </settings>
        enabled: bool | None = None,
        dry_run: bool = False,
        on_conflict: _OnConflict | None = "error",
    ) -> ClusterLimit: ...
    def try_acquire(self, n: int = 1) -> bool: ...
    def check(self, n: int = 1) -> Decision: ...
    def peek(self) -> Decision: ...
    def stats(self) -> ClusterStats: ...
    @property
    def _refuses(self) -> bool: ...
    @property
    def count(self) -> int: ...
    @property
    def period(self) -> float: ...
    @property
    def burst(self) -> int: ...
    @property
    def utilisation(self) -> float: ...
    @property
    def member_id(self) -> str: ...
    @property
    def scope(self) -> str: ...
    @property
    def name(self) -> str | None: ...

@final
class ClusterStats:
    # <stats cluster_limit>
    """What was decided, and how it goes with the store."""
    @property
    def admitted(self) -> int:
        """Calls admitted, by all processes of this machine."""
    @property
    def denied(self) -> int:
        """Calls denied."""
    @property
    def would_deny(self) -> int:
        """Calls that a dry run let through and that would have been denied."""
    @property
    def tokens(self) -> int:
        """Tokens that this machine may spend now."""
    @property
    def expires_in(self) -> float:
        """Seconds until they are lost unless the store answers again; 0: they are, or there are none."""
    @property
    def refilled(self) -> bool:
        """Whether an agent keeps the lease."""
    @property
    def syncs(self) -> int:
        """Questions to the store."""
    @property
    def errors(self) -> int:
        """Questions without an answer."""
    @property
    def late(self) -> int:
        """Questions that ran too late, or when the store's clock had leapt."""
    @property
    def epochs(self) -> int:
        """Times that the store was another one, or had forgotten."""
    @property
    def granted(self) -> int:
        """Tokens granted to this machine."""
    @property
    def round_trip(self) -> float:
        """How long the latest answer took. In seconds."""
    @property
    def level(self) -> int:
        """What the store had left for all machines, by its latest answer."""
    @property
    def fault(self) -> str | None:
        """What is wrong, if something is. Never the store's URL."""
    def __eq__(self, value: object, /) -> bool: ...
    def __ne__(self, value: object, /) -> bool: ...
    # </stats>

@disjoint_base
class ClientThrottle:
    def __new__(
        cls,
        # <settings throttle>
        # How many requests for each accepted one are tolerated; lower rejects sooner (1 to 1000).
        k: float | None = 2,
        # Over what requests and accepts are counted (0.1 s to 86400 s).
        window: _Seconds | None = 30,
        # Nothing is rejected below so many requests in the window (1 to 4294967295).
        min_calls: int | None = 10,
        # No probability of a rejection is higher (above 0 and up to 1).
        max_rejection: float | None = 0.9,
        # One call each so long passes in any case (0.001 s to 86400 s).
        force_pass: _Seconds | None = 1,
        # </settings>
        *,
        failure_on: _JudgeFilter | None = None,
        clock: ManualClock | None = None,
        scope: _Scope | None = None,
        name: str | None = None,
        on_conflict: _OnConflict | None = "error",
        enabled: bool | None = None,
        dry_run: bool = False,
    ) -> ClientThrottle: ...
    def try_acquire(self) -> bool: ...
    def _try_acquire(self, random: float) -> bool: ...
    def accepted(self) -> None: ...
    def refused(self) -> None: ...
    def call(self, func: Callable[_P, _R], /, *args: _P.args, **kwargs: _P.kwargs) -> _R: ...
    def call_async(
        self, func: Callable[_P, Awaitable[_R]], /, *args: _P.args, **kwargs: _P.kwargs
    ) -> Coroutine[Any, Any, _R]: ...
    def __call__(self, func: Callable[_P, _R], /) -> Callable[_P, _R]: ...
    def stats(self) -> ClientThrottleStats: ...
    @property
    def _failure_on(self) -> Any: ...
    @property
    def probability(self) -> float: ...
    @property
    def retry_after(self) -> float: ...
    @property
    def clock(self) -> ManualClock | None: ...
    @property
    def scope(self) -> str: ...
    @property
    def name(self) -> str | None: ...

@final
class ClientThrottleStats:
    # <stats throttle>
    """Counts since the throttle was made, and what its window holds."""
    @property
    def accepted(self) -> int:
        """Calls that the backend accepted."""
    @property
    def refused(self) -> int:
        """Calls that the backend refused."""
    @property
    def rejected(self) -> int:
        """Calls rejected here."""
    @property
    def would_reject(self) -> int:
        """Calls that a dry run let through and that would have been rejected."""
    @property
    def forced(self) -> int:
        """Calls that passed because one each `force_pass` does."""
    @property
    def window_requests(self) -> int:
        """Requests in the window, own rejections among them."""
    @property
    def window_accepts(self) -> int:
        """Of these, accepted."""
    @property
    def probability(self) -> float:
        """The probability of a rejection now."""
    def __eq__(self, value: object, /) -> bool: ...
    def __ne__(self, value: object, /) -> bool: ...
    # </stats>

@disjoint_base
class LoadShedder:
    def __new__(
        cls,
        signals: Iterable[Signal | _SignalKind | BoundedQueue[Any] | ConcurrencyLimiter] | None = None,
        *,
        # <settings shedder>
        # At full pressure, the part of those who pass that is shed in addition each interval (0.001 to 1).
        rise: float | None = 0.05,
        # At no pressure, the part of all that passes in addition each interval (0.001 to 1).
        fall: float | None = 0.02,
        # The part of each class that passes in any case (0 to 1).
        min_admit: float | None = 0.01,
        # The pressure from which on, held for critical_after, critical calls are shed too (above 0 and up to 1).
        critical_at: float | None = 1,
        # How long the pressure must be at critical_at before critical calls are shed (0 s to 3600 s).
        critical_after: _Seconds | None = 1,
        # For so long after full pressure no more pass than did (0 s to 3600 s).
        cool_off: _Seconds | None = 1,
        # How often signals are read and the threshold moves (0.01 s to 10 s).
        interval: _Seconds | None = 0.25,
        # How many CPUs there are to use; left out, what the system's files say (above 0 and up to 65536).
        cpu_limit: float | None = None,
        # </settings>
        level_key: str | None = "",
        clock: ManualClock | None = None,
        scope: _Scope | None = None,
        name: str | None = None,
        on_conflict: _OnConflict | None = "error",
        enabled: bool | None = None,
        dry_run: bool = False,
    ) -> LoadShedder: ...
    def admit(self, priority: _Priority = "normal", level: int = 0) -> bool: ...
    def _admit(self, priority: _Priority, level: int, random: float) -> bool: ...
    def check(self, priority: _Priority = "normal", level: int = 0) -> Shed: ...
    def _check(self, priority: _Priority, level: int, random: float) -> Shed: ...
    def enter(self, priority: _Priority = "normal", level: int = 0) -> None: ...
    def set_config(
        self,
        ranges: Mapping[str, tuple[float, float]] | None = None,
        *,
        rise: float | None = ...,
        fall: float | None = ...,
        min_admit: float | None = ...,
        critical_at: float | None = ...,
        critical_after: _Seconds | None = ...,
        cool_off: _Seconds | None = ...,
    ) -> None: ...
    def level_of(self, user: _Key, /) -> int: ...
    def _level_of(self, user: _Key, unix_s: int) -> int: ...
    def tell(self, signal: str, value: float, /) -> None: ...
    def _tick(self, late: float, period: float) -> None: ...
    def sample(self) -> None: ...
    def watch(self, period: float = 0.02) -> Watch: ...
    @property
    def pressure(self) -> float: ...
    @property
    def loop_lag(self) -> tuple[float, float] | None: ...
    def explain(self) -> list[str]: ...
    def stats(self) -> ShedderStats: ...
    @property
    def clock(self) -> ManualClock | None: ...
    @property
    def scope(self) -> str: ...
    @property
    def name(self) -> str | None: ...

@final
class Shed:
    @property
    def allowed(self) -> bool: ...
    @property
    def signal(self) -> str | None: ...
    @property
    def pressure(self) -> float: ...
    @property
    def retry_after(self) -> float: ...
    def __eq__(self, value: object, /) -> bool: ...
    def __ne__(self, value: object, /) -> bool: ...

@final
class ShedderStats:
    # <stats shedder>
    """Counts since the shedder was made, of all who share it."""
    @property
    def admitted(self) -> int:
        """Calls that were admitted."""
    @property
    def shed_critical(self) -> int:
        """Calls that were refused, of each priority: `critical`. Shed last, and only while the pressure has been at
        `critical_at` for `critical_after`."""
    @property
    def shed_high(self) -> int:
        """Calls that were refused, of each priority: `high`. What users wait for."""
    @property
    def shed_normal(self) -> int:
        """Calls that were refused, of each priority: `normal`. Where nothing is said."""
    @property
    def shed_sheddable(self) -> int:
        """Calls that were refused, of each priority: `sheddable`. What can be done later, or again."""
    @property
    def would_shed(self) -> int:
        """Calls that a dry run let through and that would have been refused."""
    @property
    def pressure(self) -> float:
        """The largest pressure at the last step."""
    @property
    def shed_share(self) -> float:
        """The part of the calls that the threshold refuses, by what was asked for of late."""
    def __eq__(self, value: object, /) -> bool: ...
    def __ne__(self, value: object, /) -> bool: ...
    # </stats>

@final
class Waiter:
    def poll(self) -> tuple[ConcurrencyPermit | None, float]: ...
    def cancel(self) -> None: ...
    def time_out(self) -> None: ...

@final
class Listener:
    def cancel(self) -> None: ...

@final
class QueueStats:
    # <stats queue>
    """Counts since the queue was made. Each is exact; taken together while others push and pop, they may be of
    slightly different moments."""
    @property
    def depth(self) -> int:
        """Items held now."""
    @property
    def accepting(self) -> bool:
        """Whether pushes are accepted now."""
    @property
    def pushed(self) -> int:
        """Items accepted."""
    @property
    def popped(self) -> int:
        """Items popped or drained."""
    @property
    def rejected(self) -> int:
        """Pushes refused, full or closed; a waiting form counts once, at its deadline."""
    @property
    def dropped(self) -> int:
        """Items dropped, for whatever reason: `pushed` is `popped`, `dropped` and `depth`, at any moment."""
    @property
    def dropped_oldest(self) -> int:
        """Of these, by their reasons: `oldest`. It had to make room for a newer one, as `on_full` says."""
    @property
    def dropped_age(self) -> int:
        """Of these, by their reasons: `age`. It waited longer than `max_age`."""
    @property
    def dropped_codel(self) -> int:
        """Of these, by their reasons: `codel`. The queue is overloaded, and it waited longer than twice the target."""
    @property
    def dropped_deadline(self) -> int:
        """Of these, by their reasons: `deadline`. Its own deadline had passed."""
    @property
    def dropped_closed(self) -> int:
        """Of these, by their reasons: `closed`. The queue was closed by `discard`."""
    @property
    def least_delay(self) -> float | None:
        """The least delay of the interval that ended last, of the lane where it is the longest; `None` without a
        discipline that measures it, and before the first. In seconds."""
    @property
    def overloaded(self) -> bool:
        """Whether that is overload."""
    def __eq__(self, value: object, /) -> bool: ...
    def __ne__(self, value: object, /) -> bool: ...
    # </stats>

@disjoint_base
class BoundedQueue(Generic[_T]):
    def __new__(
        cls,
        # <settings queue capacity>
        # The most items held (1 to 16777216).
        capacity: int,
        # </settings>
        *,
        # <settings queue high_watermark low_watermark on_full>
        # The fraction of the capacity at which pushes start to be refused; 1 turns watermarks off (above 0 and up to
        # 1).
        high_watermark: float | None = 0.8,
        # The fraction below which pushes are accepted again; below the high one (0 to 1).
        low_watermark: float | None = 0.5,
        # What a push onto a full queue does: is refused, or takes the place of the oldest item.
        on_full: Literal["reject", "drop_oldest"] | None = "reject",
        # </settings>
        on_drop: Callable[[_T, _DropReason], object] | None = None,
        # <settings queue sojourn discipline target interval lanes max_age>
        # Items carry the time of their push, so that a pop can tell how long they waited.
        sojourn: bool = False,
        # The order of a lane: first in, first out; the same, and what waited too long is dropped under overload; newest
        # first under overload besides.
        discipline: Literal["fifo", "codel", "adaptive_lifo"] | None = "fifo",
        # The least wait of an interval that is overload, not of fifo; below the interval (0.000001 s to 3600 s).
        target: _Seconds | None = 0.005,
        # How often overload is judged, not of fifo (0.000001 s to 3600 s).
        interval: _Seconds | None = 0.1,
        # Lanes by urgency: 0 goes first, but one pop of 20 is of the others in turn (1 to 8).
        lanes: int | None = 1,
        # What waited longer is dropped when it comes to the front; none by default (0.000001 s to a year).
        max_age: _Seconds | None = None,
        # </settings>
        retry_after: _Seconds | None = None,
        clock: ManualClock | None = None,
    ) -> BoundedQueue[_T]: ...
    @classmethod
    def __class_getitem__(cls, key: object) -> GenericAlias: ...
    def try_push(self, item: _T, *, lane: int | None = 0, deadline: _Seconds | Deadline | None = None) -> bool: ...
    @overload
    def try_pop(self) -> _T | None: ...
    @overload
    def try_pop(self, default: _D) -> _T | _D: ...
    def try_pop_timed(self) -> tuple[_T, float] | None: ...
    def push(
        self,
        item: _T,
        timeout: _Seconds | None = None,
        *,
        lane: int | None = 0,
        deadline: _Seconds | Deadline | None = None,
    ) -> None: ...
    def pop(self, timeout: _Seconds | None = None) -> _T: ...
    def push_async(
        self,
        item: _T,
        timeout: _Seconds | None = None,
        *,
        lane: int | None = 0,
        deadline: _Seconds | Deadline | None = None,
    ) -> Coroutine[Any, Any, None]: ...
    def pop_async(self, timeout: _Seconds | None = None) -> Coroutine[Any, Any, _T]: ...
    def __aiter__(self) -> AsyncIterator[_T]: ...
    def _place(self, lane: int | None, deadline: _Seconds | Deadline | None) -> tuple[int, int]: ...
    def _look_push(self, item: _T, place: tuple[int, int]) -> bool: ...
    def _last_push(self, item: _T, place: tuple[int, int]) -> bool: ...
    def _refused(self) -> str: ...
    def _listen_push(self, callback: Callable[[], object]) -> Listener: ...
    def _listen_pop(self, callback: Callable[[], object]) -> Listener: ...
    def close(self) -> None: ...
    def drain(self) -> list[_T]: ...
    def discard(self) -> int: ...
    @property
    def fill(self) -> float: ...
    @property
    def least_delay(self) -> float | None: ...
    @property
    def is_overloaded(self) -> bool: ...
    @property
    def depth(self) -> int: ...
    @property
    def capacity(self) -> int: ...
    @property
    def is_accepting(self) -> bool: ...
    @property
    def is_closed(self) -> bool: ...
    @property
    def retry_after(self) -> float: ...
    @property
    def clock(self) -> ManualClock | None: ...
    def stats(self) -> QueueStats: ...
    def __len__(self) -> int: ...
    def __bool__(self) -> bool: ...
