"""What a refusal that leaves a route is over HTTP, whatever the framework."""

from __future__ import annotations

from ._answer import encoded, texts
from ._retryable import EXCEPTION_GROUP, members
from .errors import (
    AccessDeniedError,
    CircuitOpenError,
    ConcurrencyLimitError,
    OverloadedError,
    QueueClosedError,
    QueueEmptyError,
    QueueFullError,
    RateLimitedError,
    RetryBudgetExceededError,
    ThrottledError,
    TimeoutExceededError,
)
from .headers import Problem

# All that are answered; any other error, an ArenaError or ConfigError among them, is a mistake, for the framework.
REFUSALS: tuple[type[Exception], ...] = (
    RateLimitedError,
    TimeoutExceededError,
    AccessDeniedError,
    # Those that mean "later, when there is room again".
    CircuitOpenError,
    ConcurrencyLimitError,
    OverloadedError,
    QueueClosedError,
    QueueEmptyError,
    QueueFullError,
    RetryBudgetExceededError,
    ThrottledError,
)

# Those by which a guard of a route refuses it before it runs.
_BEFORE = (
    AccessDeniedError,
    CircuitOpenError,
    ConcurrencyLimitError,
    OverloadedError,
    QueueFullError,
    RateLimitedError,
)
# What stands between a router and what it calls.
_AROUND = ("tidegate.", "fastapi.", "starlette.", "anyio.", "asyncio.", "concurrent.futures.", "contextlib")


def handles(handlers: object, refusal: type[Exception]) -> bool:
    """Whether these handlers of an application, by classes, are meant for a refusal: those for any timeout are for one
    of a timeout.
    """
    known: dict[object, object] = handlers  # type: ignore[assignment]  # Or another mapping.
    return refusal in known or (issubclass(refusal, TimeoutError) and TimeoutError in known)


class Answers:
    """Problem bodies, and after which time to come back."""

    __slots__ = ("_denied", "_limited", "_overloaded", "_status", "_timed_out")

    def __init__(self, overload_status: int) -> None:
        self._status = overload_status
        self._limited, self._overloaded = Problem.limited("default"), Problem.overloaded(overload_status)
        self._timed_out, self._denied = Problem.timed_out(), Problem.denied()

    def of(self, error: Exception) -> tuple[Problem, float | None]:
        """The body of one of the refusals, and its Retry-After in seconds, None where it has none."""
        after: float | None = getattr(error, "retry_after", 1.0)
        if isinstance(error, RateLimitedError):
            return getattr(error, "problem", self._limited), after
        # The part of a gate that refused.
        part = getattr(error, "part", None)
        if isinstance(error, AccessDeniedError):
            return self._denied if part is None else Problem.of(*part), None
        if isinstance(error, TimeoutExceededError):
            # 0 is "not known" and no "now".
            return self._timed_out if part is None else Problem.of(*part), getattr(error, "retry_after", 0.0) or None
        return self._overloaded if part is None else Problem.of(*part, status=self._status), after


def answered(answers: Answers, error: Exception) -> tuple[int, list[tuple[str, str]], bytes] | None:
    """The status, fields and body for a refusal, or for a group of refusals alone; None for any other error.

    The length is the framework's to say.
    """
    if EXCEPTION_GROUP is not None and isinstance(error, EXCEPTION_GROUP):
        last = longest(members(error))
        return answered(answers, last) if isinstance(last, Exception) else None
    if not isinstance(error, REFUSALS):
        return None
    problem, after = answers.of(error)
    body = problem.body
    # What a gate told, and what its on_refused gave.
    headers, said = [*problem.headers(after), *getattr(error, "extra", [])], getattr(error, "answer", None)
    if said is not None and not callable(said):
        content, body = encoded(said, kind="a WSGI application")
        headers[0] = (b"content-type", content)
    return problem.status, texts([headers[0], *headers[2:]]), body


def came_before(error: BaseException) -> bool:
    """Whether a breaker, concurrency limit, shedder or gate of a route refused it before it ran: neither the refusal
    nor what led to it, such as the attempt before it, has passed a frame of the application's own.
    """
    if not isinstance(error, _BEFORE):
        return False
    last: BaseException | None = error
    # A chain may be circular.
    for _ in range(8):
        if last is None:
            break
        traceback = last.__traceback__
        while traceback is not None:
            if not str(traceback.tb_frame.f_globals.get("__name__")).startswith(_AROUND):
                return False
            traceback = traceback.tb_next
        last = last.__cause__ or last.__context__
    return last is None


def longest(refusals: tuple[BaseException, ...]) -> BaseException | None:
    """The one of several that lasts longest; None where not all are refusals."""
    if not all(isinstance(one, REFUSALS) for one in refusals):
        return None
    return max(refusals, key=lambda refusal: getattr(refusal, "retry_after", 1.0))
