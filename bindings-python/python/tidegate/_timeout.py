"""A call that ends in time, for whoever waits for it."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from contextvars import Context, ContextVar
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

from ._classify import timed_out
from ._deadline import Deadline
from ._functions import decorates, not_async, refuse_lazy, wrapped
from ._time import LONGEST_WAIT, POLL, clock_of, limit_seconds
from ._tidegate import ManualClock
from .errors import ConfigError, TimeoutExceededError, not_begun

if TYPE_CHECKING:
    import asyncio

P = ParamSpec("P")
R = TypeVar("R")


class Timeout:
    """Ends a call after so long, by TimeoutExceededError: a failure of what was called, for breakers and retries alike.

        slow = Timeout(attempt=0.5)

        await slow.call_async(ask, order)   # cancelled when its time is over
        slow.call(ask, order)               # a thread cannot be stopped; see below

        @slow                               # or round a function, sync or async
        async def ask(order): ...

    Args:
        total: seconds for all attempts together; attempt: for one. Alone a call is one attempt, and the shorter counts.
        clock: a ManualClock for tests.

    What is called finds the end as ``Deadline.current()``, and a deadline around it that is earlier holds. A call whose
    time is over before it begins is not made.

    **Async** functions are cancelled in their task. The caller's own cancellation stays one, also when both come at the
    same time, on every version of Python. A function that answers its cancellation with a result has that result.

    **Threads** cannot be stopped, and a call that went on in a thread of its own would hold its connection and its
    locks while nobody looks. So ``call`` runs the function here, and returns when it returns; permits around it are
    held as long. Give its client what is left, ``timeout=Deadline.current().remaining()``: a timeout that
    the client raises at the end becomes a TimeoutExceededError. A result that is late is returned: the work is done,
    and who is told otherwise might do it twice.

    Raises:
        ConfigError: a value outside what is allowed (a ValueError); TypeError: a wrong type.
    """

    __slots__ = ("__weakref__", "_clock", "_limit", "attempt", "total")

    def __init__(
        self,
        total: float | timedelta | None = None,
        attempt: float | timedelta | None = None,
        *,
        clock: ManualClock | None = None,
    ) -> None:
        self.total = limit_seconds("total", total)
        self.attempt = limit_seconds("attempt", attempt)
        if total is None and attempt is None:
            raise ConfigError("total, attempt: give one of them, or both")
        limits = [limit for limit in (self.total, self.attempt) if limit is not None]
        self._limit = min(limits, default=None)
        self._clock = clock_of(clock)

    def call(self, func: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Calls ``func`` here, with this deadline; returns when it returns."""
        deadline, message = self._begin()
        try:
            with deadline:
                result = func(*args, **kwargs)
        except Exception as error:
            self._end(deadline, message, error)
            raise
        refuse_lazy(result)
        return result

    async def call_async(self, func: Callable[P, Awaitable[R]], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Awaits ``func``, and cancels it when its time is over."""
        deadline, message = self._begin()
        limit = _Limit(deadline, message)
        try:
            with deadline, limit:
                made = func(*args, **kwargs)
                if inspect.isawaitable(made):
                    return await made
        except Exception as error:
            self._end(deadline, message, error)
            raise
        raise not_async(made, "timeout.call(…)")

    def wrap(self, func: Callable[P, R], /) -> Callable[P, R]:
        """``func`` under this timeout; an ``async def`` stays one. TypeError for generators and what is no function."""
        is_async = decorates("a timeout", "timeout.call(…)", func)
        return cast(Callable[P, R], wrapped(func, is_async, self.call, self.call_async))

    def __call__(self, func: Callable[P, R], /) -> Callable[P, R]:
        return self.wrap(func)

    def _begin(self) -> tuple[Deadline, str]:
        """The deadline of a call that begins now, and what is said when it has passed."""
        around = Deadline.current()
        if around is not None:
            left = around.remaining()
            if left == 0:
                raise not_begun(TimeoutExceededError("call timed out: its deadline had passed before it began"))
            # Of two that end together, one is enough: see `_Limit`.
            if self._limit is None or left <= self._limit:
                return around, "call timed out: its deadline has passed"
        if self._limit is None:
            return Deadline._after(None, None), ""
        return Deadline._after(self._limit, self._clock), f"call timed out after {self._limit:g} s"

    def _end(self, deadline: Deadline, message: str, error: Exception) -> None:
        """Raises what a call ends by that its client has ended in time."""
        if deadline.expired and not isinstance(error, TimeoutExceededError) and timed_out(error):
            raise TimeoutExceededError(message) from error

    def __repr__(self) -> str:
        given = [f"{name}={getattr(self, name)}" for name in ("total", "attempt") if getattr(self, name) is not None]
        return f"{type(self).__name__}({', '.join(given)})"


# The limits of this task, the innermost first; where a task has none, it sees those of the task that started it.
_innermost: ContextVar[_Limit | None] = ContextVar("tidegate.limit", default=None)


class _Limit:
    """Cancels the task that has entered it at a deadline, and tells that from the caller's own cancellation.

    ``asyncio.wait_for`` of CPython 3.10 and 3.11 swallows the latter where both come together (#86296); this is the
    algorithm of ``asyncio.timeout`` (3.11), which counts the requests to cancel.

    Where several end by the same deadline, the innermost alone cancels: what stands between them, a breaker or a retry,
    sees a call that took too long, and no cancellation. Those outside follow if the call has not ended by that.

    A task is asked to cancel by its loop alone, where it is suspended: before CPython 3.13 a request that is made
    within a step outlives ``uncancel``, and would end whatever the task awaits next.
    """

    __slots__ = ("_cancelling", "_deadline", "_expired", "_inner", "_loop", "_message", "_outer", "_task", "_timer")

    def __init__(self, deadline: Deadline, message: str) -> None:
        self._deadline, self._message = deadline, message
        self._expired = False
        self._inner: _Limit | None = None
        self._timer: asyncio.Handle | None = None

    def __enter__(self) -> None:
        # Not at the start of the program: where a loop runs, it is there.
        import asyncio

        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a timeout of an async call must be used inside a task")
        self._task: Any = task
        self._loop = asyncio.get_running_loop()
        # Before 3.11 nobody counts.
        self._cancelling = task.cancelling() if hasattr(task, "cancelling") else 0
        outer = self._outer = _innermost.get()
        if outer is not None and outer._task is task:
            outer._inner = self
        _innermost.set(self)
        self._wait()

    def _wait(self) -> None:
        # A ManualClock announces nothing.
        nap = min(self._deadline.remaining(), LONGEST_WAIT) if self._deadline._clock is None else POLL
        # In no context: a timer that was cancelled keeps its own for a while, which would lead back to this.
        self._timer = self._loop.call_later(nap, self._look, context=Context())

    def _look(self) -> None:
        """Ends the call, or looks again when the deadline will have passed."""
        if self._deadline.remaining() > 0:
            self._wait()
            return
        self._timer = None
        # Else the one within ends it, and says when it has.
        if self._inner is None or self._inner._deadline is not self._deadline:
            self._expire()

    def _expire(self) -> None:
        task = self._task
        if hasattr(task, "uncancel"):
            self._expired = True
            task.cancel()
        elif not _is_cancelled(task):
            self._expired = True
            task.cancel(self)
            # A request of the caller's that follows puts its own here.
            task._cancel_message = self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: object) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        task, outer = self._task, self._outer
        _innermost.set(outer)
        # A task that was started within it may keep it for long.
        self._task = self._outer = None
        if outer is not None and outer._inner is self:
            outer._inner = None
            if outer._timer is None and not outer._expired:
                outer._timer = self._loop.call_soon(outer._look, context=Context())
        if not self._expired:
            return
        from asyncio import CancelledError

        if hasattr(task, "uncancel"):
            is_ours = task.uncancel() <= self._cancelling
        else:
            is_ours = task._cancel_message is self
            # Else it is that of a limit outside, or of the caller.
            if is_ours:
                task._cancel_message = None
        if is_ours and kind is not None and issubclass(kind, CancelledError):
            raise TimeoutExceededError(self._message) from error


def _is_cancelled(task: Any) -> bool:
    """Whether somebody has asked a task of CPython 3.10 to be cancelled that has not yet run since."""
    waits_for = task._fut_waiter
    return bool(task._must_cancel or (waits_for is not None and waits_for.cancelled()))
