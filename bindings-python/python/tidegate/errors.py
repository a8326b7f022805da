"""What tidegate raises: plain Python classes, so they pickle, subclass and travel between processes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from ._tidegate import circuit_refused, try_again

if TYPE_CHECKING:
    from ._tidegate import Trip

__all__ = [
    "AccessDeniedError",
    "ArenaError",
    "CircuitOpenError",
    "ConcurrencyLimitError",
    "ConfigError",
    "OverloadedError",
    "PolicyError",
    "Problem",
    "QueueClosedError",
    "QueueEmptyError",
    "QueueFullError",
    "RateLimitedError",
    "RetryBudgetExceededError",
    "ThrottledError",
    "TidegateError",
    "TimeoutExceededError",
]


class TidegateError(Exception):
    """Base of everything tidegate raises. A circuit breaker counts one as a failure only if it is a
    TimeoutExceededError: the others say nothing of the dependency.
    """


class ConfigError(TidegateError, ValueError):
    """An argument outside what is allowed: which one, what was wrong, and what would do."""


class Problem(NamedTuple):
    """One thing that is wrong with a policy."""

    #: Where, counted from 1; 0: of the file as a whole.
    line: int
    #: Which character of the line, counted from 1; 0 as the line.
    column: int
    #: Which setting: ``"breakers.payment.cooldown"``; empty where it is none.
    path: str
    #: What is wrong, and what is allowed.
    message: str
    #: What was meant, perhaps.
    hint: str | None


class PolicyError(ConfigError):
    """A policy that is wrong: nothing of it was applied. Its text is a line for each of its ``problems``."""

    problems: tuple[Problem, ...]

    def __init__(self, message: str, problems: tuple[Problem, ...] = ()) -> None:
        # Both are what pickle calls the class with.
        super().__init__(message, problems)
        self.problems = problems

    def __str__(self) -> str:
        return str(self.args[0])


class ArenaError(TidegateError):
    """A named scope could not be used: what was wrong, what is allowed, how to mend it.

    ``kind`` is ``"unsupported"`` (no host scope on this system), ``"permission"``, ``"filesystem"`` (no memory in
    common there), ``"no_space"``, ``"foreign"`` (the file is no arena), ``"version"``, ``"clock"``, ``"shape"`` (the
    name is another kind or size of object), ``"settings"`` (it was declared with other settings), ``"full"``,
    ``"removed"`` or ``"system"``.
    """

    kind: str

    def __init__(self, message: str, kind: str = "system") -> None:
        # Both are what pickle calls the class with.
        super().__init__(message, kind)
        self.kind = kind

    def __str__(self) -> str:
        return str(self.args[0])


class _Refusal(TidegateError):
    """A refusal with the seconds after which another try makes sense (``math.inf``: never)."""

    retry_after: float

    def __init__(self, message: str, retry_after: float) -> None:
        # Not super(): a subclass may be the error of an HTTP client too, which takes other arguments.
        Exception.__init__(self, message, retry_after)
        self.retry_after = retry_after

    def __str__(self) -> str:
        return f"{self.args[0]}: {try_again(self.retry_after)}"


class RateLimitedError(_Refusal):
    """A rate limit refused, or a waiting form could not be served within its timeout.

    ``denied_by`` is the name of the limit of a LimitSet that refused, None for a limit by itself.
    """

    denied_by: str | None

    def __init__(self, message: str = "rate limited", retry_after: float = 0.0, denied_by: str | None = None) -> None:
        super().__init__(message, retry_after)
        # What pickle calls the class with.
        self.args = (message, retry_after, denied_by)
        self.denied_by = denied_by


class CircuitOpenError(_Refusal):
    """A circuit breaker is open, or half-open with all probes taken, or has closed and lets calls back by degrees.

    ``breaker`` is its name, ``trip`` the calls by which it opened (None: opened by hand), ``ramping`` whether it has
    closed.
    """

    breaker: str
    trip: Trip | None
    ramping: bool

    def __init__(self, breaker: str, retry_after: float, trip: Trip | None = None, ramping: bool = False) -> None:
        super().__init__(breaker, retry_after)
        # What pickle calls the class with.
        self.args = (breaker, retry_after, trip, ramping)
        self.breaker = breaker
        self.trip = trip
        self.ramping = ramping

    def __str__(self) -> str:
        # Made when it is read: a circuit refuses many, and few are printed.
        return circuit_refused(self.breaker, self.retry_after, self.trip, self.ramping)


class QueueFullError(_Refusal):
    """A queue took no item: full, or above its high watermark and not yet below the low one."""

    def __init__(self, message: str = "queue is full", retry_after: float = 1.0) -> None:
        super().__init__(message, retry_after)


class QueueClosedError(TidegateError):
    """A queue is closed (for a pop: and everything it had accepted is out)."""

    def __init__(self, message: str = "queue is closed") -> None:
        super().__init__(message)


class QueueEmptyError(TidegateError):
    """A waiting pop reached its timeout and there was no item."""

    def __init__(self, message: str = "queue is empty") -> None:
        super().__init__(message)


class ConcurrencyLimitError(_Refusal):
    """No permit of a concurrency limit was free."""

    def __init__(self, message: str = "concurrency limit reached", retry_after: float = 1.0) -> None:
        super().__init__(message, retry_after)


class OverloadedError(_Refusal):
    """Shed to protect what is already running."""

    def __init__(self, message: str = "overloaded", retry_after: float = 1.0) -> None:
        super().__init__(message, retry_after)


class AccessDeniedError(_Refusal):
    """A gate's access list denies the client."""

    def __init__(self, message: str = "access denied", retry_after: float = math.inf) -> None:
        super().__init__(message, retry_after)


class ThrottledError(_Refusal):
    """A client throttle rejected a call: the backend refuses too many of them."""

    def __init__(self, message: str = "throttled", retry_after: float = 1.0) -> None:
        super().__init__(message, retry_after)


class RetryBudgetExceededError(_Refusal):
    """A call failed, and another attempt is not affordable.

    Its cause is the last error; ``attempts`` is how many there were.
    """

    attempts: int

    def __init__(self, message: str = "retry budget exceeded", retry_after: float = 0.0, attempts: int = 1) -> None:
        super().__init__(message, retry_after)
        # What pickle calls the class with.
        self.args = (message, retry_after, attempts)
        self.attempts = attempts


class TimeoutExceededError(TidegateError, TimeoutError):
    """A call took too long: a failure of what was called, and not a refusal. Also a TimeoutError.

    One whose time was over before it began was not made, and says nothing of what was to be called.
    """

    retry_after: float
    _begun = True

    def __new__(cls, message: str = "call timed out", retry_after: float = 0.0) -> TimeoutExceededError:
        # An OSError would take two arguments for an errno and its text.
        return super().__new__(cls, message)

    def __init__(self, message: str = "call timed out", retry_after: float = 0.0) -> None:
        super().__init__(message)
        # What pickle calls the class with.
        self.args = (message, retry_after)
        self.retry_after = retry_after

    def __str__(self) -> str:
        return str(self.args[0])


def not_begun(error: TimeoutExceededError) -> TimeoutExceededError:
    """Of a call that was not made."""
    error._begun = False
    return error
