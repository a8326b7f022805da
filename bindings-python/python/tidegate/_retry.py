"""Retry policies: the loops, for threads and for asyncio, and the calls of a client throttle."""

from __future__ import annotations

import contextlib
import copy
import inspect
from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeVar, cast

from ._classify import CancelledError, is_answered
from ._deadline import Deadline
from ._functions import is_async, not_async, refuse_lazy, wrapped
from ._paid import begin, end
from ._retryable import (
    Filter,
    Verdict,
    abandon,
    abandon_async,
    failed_result,
    filter_of,
    is_own,
    is_retried,
    is_transient,
    is_wrong_call,
    matches,
    members,
    readers_of,
    retry_after,
)
from ._tidegate import Classifier, ManualClock, RetryBudget, Schedule
from ._time import clock_of, now_ns, sleep, sleep_async
from .errors import (
    CircuitOpenError,
    ConcurrencyLimitError,
    OverloadedError,
    QueueFullError,
    RateLimitedError,
    RetryBudgetExceededError,
    ThrottledError,
)

if TYPE_CHECKING:
    from ._tidegate import CircuitBreaker, ClientThrottle

P = ParamSpec("P")
R = TypeVar("R")

# By which an attempt is not made.
_REFUSALS = (CircuitOpenError, ConcurrencyLimitError, OverloadedError, QueueFullError, RateLimitedError, ThrottledError)


class RetryPolicy:
    """Calls again what failed, after a wait that grows and differs between clients, as long as it is affordable.

        retry = RetryPolicy(attempts=3, budget=RetryBudget(name="bank"))

        retry.call(charge, order)               # in a thread
        await retry.call_async(charge, order)   # in a task

        @retry                                  # or round a function, sync or async
        async def charge(order): ...

    Args:
        attempts: how often the call is made at most, the first time included; None: as often as it takes.
        base, factor, max_delay: the wait before retry n (from 0) grows as ``min(max_delay, base * factor**n)`` seconds.
        jitter: how it is spread: "none", "full" (anything up to it), "equal" (half of it and anything up to the other),
            "decorrelated" (AWS), "smooth" (Polly).
        budget: a RetryBudget that all calls to the dependency share.
        retry_on: the errors that are retried: a class, a function of the exception, a Classifier such as ``http()``,
            or several of these; a Classifier judges results as well. Default: an HTTP status of 429 or from 500 on,
            timeouts, lost connections and unknown errors; not other statuses, not errors that a mistake in the program
            raises (TypeError, ValueError, LookupError, …), not tidegate's own refusals.
        deadline: seconds for all attempts and waits together: a wait that would reach its end is not slept, nor one
            that would reach a ``Deadline`` or the end of a ``Timeout`` round the call.
        max_retry_after: a server's Retry-After (of 429 and 503), or the ``retry_after`` of an error, which wins when it
            is longer than the wait, counts up to so many seconds.
        clock: a ManualClock for tests.

    Never retried: a cancelled task, Ctrl-C, exits, an open circuit, a throttled call, an empty budget, wrong arguments.
    The last error is raised as it is, with ``attempts`` and ``retry_after``; that of the attempt before is the cause of
    a refusal, such as an open circuit's. Where the budget is empty,
    RetryBudgetExceededError with the last error as its cause. A failed result is returned as it is, in both cases; one
    that is retried and has a status is closed. What ``retry_on`` itself raises is raised.

    Raises:
        ConfigError: a value outside what is allowed (a ValueError); TypeError: a wrong type.

    Immutable; may be used from any thread and any event loop at the same time. Every attempt runs in the caller's
    context.
    """

    __slots__ = (
        "__weakref__",
        "_breaker",
        "_budget",
        "_clock",
        "_is_timed",
        "_readers",
        "_retry_on",
        "_schedule",
    )

    def __init__(
        self,
        attempts: int | float | None = 3,
        base: float | timedelta = 0.1,
        factor: float = 2,
        max_delay: float | timedelta = 5,
        jitter: Literal["none", "full", "equal", "decorrelated", "smooth"] = "full",
        budget: RetryBudget | None = None,
        retry_on: Filter | list[Filter] | None = None,
        deadline: float | timedelta | None = None,
        max_retry_after: float | timedelta = 60,
        *,
        clock: ManualClock | None = None,
    ) -> None:
        self._schedule = Schedule(attempts, base, factor, max_delay, jitter, deadline, max_retry_after)
        if budget is not None and not isinstance(budget, RetryBudget):
            raise TypeError(f"budget: expected a RetryBudget, got {type(budget).__name__}")
        self._budget = budget
        self._retry_on = None if retry_on is None else filter_of("retry_on", retry_on)
        self._readers = readers_of(self._retry_on)
        self._clock = clock_of(clock)
        self._is_timed = deadline is not None
        # That of each attempt, where the policy knows it.
        self._breaker: CircuitBreaker | None = None

    def _around(self, breaker: CircuitBreaker) -> RetryPolicy:
        """The same policy for attempts that are calls of this breaker."""
        twin = copy.copy(self)
        twin._breaker = breaker
        return twin

    @classmethod
    def stamina(cls, **more: Any) -> RetryPolicy:
        """The defaults of the library stamina: 10 attempts within 45 seconds; ``more`` replaces any setting."""
        return cls(**{"attempts": 10, "deadline": 45.0, **more})

    def call(self, func: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Calls ``func``, blocking this thread between attempts. Ctrl-C ends the wait."""
        call = None if self._budget is None else begin(self._budget)
        try:
            attempts, previous, start = 0, 0.0, self._now()
            last: Exception | None = None
            while True:
                attempts += 1
                try:
                    result = func(*args, **kwargs)
                except Exception as error:
                    if last is not None:
                        _follows(error, last)
                        last = None
                    wait, previous = self._after(error, attempts, previous, start)
                    if wait is None:
                        raise
                    last = error
                else:
                    refuse_lazy(result)
                    verdict = failed_result(self._readers, result) if self._readers else None
                    if verdict is None:
                        return result
                    try:
                        wait, previous = self._after_result(result, verdict, attempts, previous, start)
                    except CircuitOpenError:
                        # In place of the result: nobody else closes it.
                        abandon(result)
                        raise
                    if wait is None:
                        return result
                    abandon(result)
                    # Not held through the wait.
                    del result
                # Outside of the handler: the next error has nothing to do with this one.
                if wait > 0:
                    sleep(wait, self._clock)
        finally:
            if call is not None:
                end(call)

    async def call_async(self, func: Callable[P, Awaitable[R]], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Calls an async function, suspending this task between attempts. A cancelled task ends at once."""
        call = None if self._budget is None else begin(self._budget)
        try:
            attempts, previous, start = 0, 0.0, self._now()
            last: Exception | None = None
            while True:
                attempts += 1
                try:
                    made = func(*args, **kwargs)
                    if is_lazy := inspect.isawaitable(made):
                        result = await made
                except Exception as error:
                    if last is not None:
                        _follows(error, last)
                        last = None
                    wait, previous = self._after(error, attempts, previous, start)
                    if wait is None:
                        raise
                    last = error
                else:
                    if not is_lazy:
                        raise not_async(made, "policy.call(…)")
                    verdict = failed_result(self._readers, result) if self._readers else None
                    if verdict is None:
                        return result
                    try:
                        wait, previous = self._after_result(result, verdict, attempts, previous, start)
                    except CircuitOpenError:
                        await abandon_async(result)
                        raise
                    if wait is None:
                        return result
                    await abandon_async(result)
                    # Not held through the wait.
                    del result
                if wait > 0:
                    await sleep_async(wait, self._clock)
        finally:
            if call is not None:
                end(call)

    def wrap(self, func: Callable[P, R], /) -> Callable[P, R]:
        """``func`` under this policy; an ``async def`` stays one. TypeError for generators and what is no function."""
        if isinstance(func, type):
            raise TypeError(f"a retry policy decorates a function, got the class {func.__name__}")
        if not callable(func):
            raise TypeError(f"a retry policy decorates a function, got {type(func).__name__}")
        if inspect.isgeneratorfunction(func) or inspect.isasyncgenfunction(func):
            raise TypeError(
                f"{func.__name__}: a generator runs while it is iterated, not when it is called, and what it has given "
                "out cannot be taken back; retry the part that does the work"
            )
        return cast(Callable[P, R], wrapped(func, is_async(func), self.call, self.call_async))

    def __call__(self, func: Callable[P, R], /) -> Callable[P, R]:
        return self.wrap(func)

    def delays(self) -> Iterator[float]:
        """Waits as they could come between the attempts of one call, in seconds."""
        n, previous, attempts = 0, 0.0, self._schedule.attempts
        while attempts is None or n < attempts - 1:
            wait, previous = self._schedule.delay(n, previous)
            yield wait
            n += 1

    def _now(self) -> int:
        return now_ns(self._clock) if self._is_timed else 0

    def _after(self, error: Exception, attempts: int, previous: float, start: int) -> tuple[float | None, float]:
        """The wait before another attempt, None for none; what the next one takes as ``previous``."""
        retried = is_retried(self._retry_on, error)
        told = self._told(error, retried)
        wait = None
        if retried:
            wait, previous = self._next(attempts, previous, told, start)
        self._refuse(wait, error)
        budget = self._budget
        # Before the wait: what is counted after it comes too late for all who wait now.
        if wait is not None and budget is not None and not budget.try_withdraw():
            raise exceeded(budget, attempts, told) from error
        if wait is None:
            note(error, attempts, told)
        return wait, previous

    def _after_result(
        self, result: object, verdict: Verdict, attempts: int, previous: float, start: int
    ) -> tuple[float | None, float]:
        """As ``_after``, of a result that failed. It is the caller's to read, also where the budget is empty."""
        wait, previous = self._next(attempts, previous, self._told(result, verdict), start)
        self._refuse(wait, None)
        if wait is not None and self._budget is not None and not self._budget.try_withdraw():
            wait = None
        return wait, previous

    def _refuse(self, wait: float | None, error: Exception | None) -> None:
        """Raises, in place of a wait that ends while the circuit is still open, what would come of it."""
        breaker = self._breaker
        if wait is None or breaker is None or breaker.state == "half_open" or breaker.retry_after <= wait:
            return
        try:
            permit = breaker.acquire()
        except CircuitOpenError as refusal:
            refusal.__cause__ = error
            raise
        # It has closed meanwhile.
        permit.release()

    def _told(self, end: object, verdict: bool | Verdict) -> float | None:
        """The seconds that are asked for, by the Classifier that judged, else by the error or answer itself."""
        most = self._schedule.max_retry_after
        said = verdict[1] if isinstance(verdict, tuple) else None
        return retry_after(end, most) if said is None else min(said, most)

    def _next(self, attempts: int, previous: float, told: float | None, start: float) -> tuple[float | None, float]:
        wait, previous = self._schedule.next(attempts, previous, told or 0.0, (self._now() - start) / 1e9)
        around = Deadline.current()
        if around is not None and wait is not None and wait >= around.remaining():
            wait = None
        return wait, previous

    @property
    def attempts(self) -> int | None:
        """How often the call is made at most; None: as often as it takes."""
        return self._schedule.attempts

    @property
    def budget(self) -> RetryBudget | None:
        """The budget that it was given."""
        return self._budget

    def __repr__(self) -> str:
        own = self._schedule
        shown = f"{type(self).__name__}({own.attempts}, base={own.base}, factor={own.factor}, "
        shown += f"max_delay={own.max_delay}, jitter={own.jitter!r}"
        if own.deadline is not None:
            shown += f", deadline={own.deadline}"
        if self._budget is not None:
            shown += f", budget={self._budget!r}"
        return shown + ")"


def _follows(refusal: Exception, error: Exception) -> None:
    """A refusal of a later attempt tells nothing of the attempt before, which may have done its work."""
    if isinstance(refusal, _REFUSALS) and refusal.__cause__ is None and refusal is not error:
        refusal.__cause__ = error


def note(error: Exception, attempts: int, told: float | None) -> None:
    """Writes on the last error how many there were."""
    # Some errors take no attributes.
    with contextlib.suppress(Exception):
        error.attempts = attempts  # type: ignore[attr-defined]
        if getattr(error, "retry_after", None) is None:
            error.retry_after = told or 0.0  # type: ignore[attr-defined]


def exceeded(budget: RetryBudget, attempts: int, told: float | None) -> RetryBudgetExceededError:
    """What an empty budget raises after so many attempts."""
    name = "" if budget.name is None else f' "{budget.name}"'
    times = "1 attempt" if attempts == 1 else f"{attempts} attempts"
    message = f"retry budget{name} is empty after {times} of a call"
    return RetryBudgetExceededError(message, max(told or 0.0, budget.retry_after), attempts)


def call_throttled(
    throttle: ClientThrottle, func: Callable[..., R], args: tuple[Any, ...], kwargs: Mapping[str, Any] | None
) -> R:
    """ClientThrottle.call."""
    _admit(throttle)
    try:
        result = func(*args, **(kwargs or {}))
    except Exception as error:
        _report(throttle, error)
        raise
    # The caller's mistake, which says nothing of the backend.
    refuse_lazy(result)
    _report_result(throttle, result)
    return result


async def call_throttled_async(
    throttle: ClientThrottle, func: Callable[..., Awaitable[R]], args: tuple[Any, ...], kwargs: Mapping[str, Any] | None
) -> R:
    """ClientThrottle.call_async."""
    _admit(throttle)
    try:
        made = func(*args, **(kwargs or {}))
        if is_lazy := inspect.isawaitable(made):
            result = await made
    except Exception as error:
        _report(throttle, error)
        raise
    if not is_lazy:
        raise not_async(made, "throttle.call(…)")
    _report_result(throttle, result)
    return result


def _report_result(throttle: ClientThrottle, result: object) -> None:
    """What a result says of the backend, by the classifiers of ``failure_on``."""
    chosen = throttle._failure_on
    try:
        is_bad = chosen is not None and failed_result(readers_of(chosen), result) is not None
    except BaseException:
        throttle.refused()
        raise
    if is_bad:
        throttle.refused()
    else:
        throttle.accepted()


def decorate_throttled(throttle: ClientThrottle, func: Callable[..., Any]) -> Callable[..., Any]:
    """ClientThrottle.__call__."""
    if isinstance(func, type) or not callable(func):
        what = f"the class {func.__name__}" if isinstance(func, type) else type(func).__name__
        raise TypeError(f"a throttle decorates a function, got {what}")
    if inspect.isgeneratorfunction(func) or inspect.isasyncgenfunction(func):
        raise TypeError(f"{func.__name__}: a generator runs while it is iterated, not when it is called")
    return cast(Callable[..., Any], wrapped(func, is_async(func), throttle.call, throttle.call_async))


def _admit(throttle: ClientThrottle) -> None:
    if not throttle.try_acquire():
        name = "" if throttle.name is None else f' "{throttle.name}"'
        raise ThrottledError(f"client throttle{name} rejected a call", throttle.retry_after)


def _report(throttle: ClientThrottle, error: Exception) -> None:
    """What an error says of the backend. A predicate that itself raises counts as a refusal; its error is raised."""
    if is_own(error) or isinstance(error, CancelledError) or is_wrong_call(error):
        return
    chosen = throttle._failure_on
    try:
        if chosen is None:
            # One of a group is enough: that is what the backend did not bear.
            refused = any(map(is_transient, members(error)))
        elif isinstance(chosen, Classifier):
            judged = chosen.error(error)[0]
            if judged in ("ignore", "cancelled"):
                return
            refused = judged in ("failure", "unreached")
        else:
            refused = bool(matches("failure_on", chosen, error))
        if not refused and all(map(is_answered, members(error))):
            # Of a client of this program, and no word of the backend.
            return
    except BaseException:
        throttle.refused()
        raise
    if refused:
        throttle.refused()
    else:
        throttle.accepted()
