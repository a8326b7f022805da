"""The last good value of each key, for when there is no new one."""

from __future__ import annotations

import math
import os
import sys
import threading
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextvars import ContextVar
from datetime import timedelta
from typing import Any

from ._deadline import Deadline
from ._forked import renewed
from ._functions import called, close_unawaited, makes
from ._log import blocks
from ._time import LONGEST_WAIT, POLL, clock_of, limit_seconds, now_ns
from ._tidegate import ManualClock
from ._timeout import Timeout
from .errors import ConfigError, TimeoutExceededError

# What a call gave, or raised; ABANDONED: it was cancelled, which says nothing to the others.
_End = tuple[Any, "Exception | None"]
_ABANDONED: Any = object()


class _Flight:
    """A call of a key that is under way, and what it ends by."""

    __slots__ = ("end", "pid")

    def __init__(self) -> None:
        self.end: Future[Any] = Future()
        # Nobody who waits for it can cancel it.
        self.end.set_running_or_notify_cancel()
        self.pid = os.getpid()


# Has no time of its own.
_UNTIL_DEADLINE = Timeout(math.inf)
# The calls that this one is part of. Who makes the same call within it cannot wait for itself.
_within: ContextVar[tuple[_Flight, ...]] = ContextVar("tidegate.flights", default=())


class Cache:
    """What ``cached()`` makes."""

    __slots__ = ("__weakref__", "_clock", "_flights", "_key", "_lock", "_max_age", "_max_entries", "_values")

    def __init__(
        self,
        max_age: float | timedelta,
        max_entries: int,
        key: Callable[..., Hashable] | None,
        clock: ManualClock | None,
    ) -> None:
        self._max_age = limit_seconds("max_age", max_age)
        if not isinstance(max_entries, int) or isinstance(max_entries, bool):
            raise TypeError(f"max_entries: expected an int, got {type(max_entries).__name__}")
        if max_entries < 1:
            raise ConfigError(f"max_entries: must be 1 or more, got {max_entries}")
        if key is not None and not callable(key):
            raise TypeError(f"key: expected a function of the call's arguments, got {type(key).__name__}")
        self._max_entries, self._key, self._clock = max_entries, key, clock_of(clock)
        self._values: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self._flights: dict[Hashable, _Flight] = {}
        self._lock = threading.Lock()
        renewed(self)

    def key_of(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Hashable:
        """Which calls have the same value. What a key function raises is raised."""
        if self._key is None:
            # The types too: 1, 1.0 and True are equal.
            named = sorted(kwargs.items())
            types = (*map(type, args), *(type(value) for _, value in named))
            key: Hashable = (func, args, tuple(named), types)
            wrong = "cached: give key=, a function of the arguments: those of this call cannot be hashed"
        else:
            key = self._key(*args, **kwargs)
            if close_unawaited(key):
                raise TypeError("key: a function of the arguments cannot be async")
            wrong = f"key: {called(self._key)} gave a {type(key).__name__}, which cannot be hashed"
        try:
            hash(key)
        except TypeError:
            raise TypeError(wrong) from None
        return key

    def look(self, key: Hashable) -> tuple[Any, float] | None:
        """The value and its age in seconds, unless it is too old."""
        with self._lock:
            kept = self._values.get(key)
            if kept is None:
                return None
            # A clock that stepped back makes nothing younger than it was when it came.
            age = max(0.0, (now_ns(self._clock) - kept[1]) / 1e9)
            if self._max_age is not None and age > self._max_age:
                del self._values[key]
                return None
            return kept[0], age

    def keep(self, key: Hashable, value: Any) -> None:
        """The newest value of a key. The one that came longest ago makes room."""
        with self._lock:
            dropped: Any = self._values.pop(key, None)
            self._values[key] = value, now_ns(self._clock)
            if len(self._values) > self._max_entries:
                dropped = self._values.popitem(last=False)
        # Outside of the lock: whatever the end of a value runs may come back here.
        del dropped

    def once(self, key: Hashable, call: Callable[[], Any]) -> Any:
        """Calls, or waits for a call of this key that is under way. What that raises is raised to all."""
        if _loop_runs():
            # This thread runs the tasks that a wait could be for.
            return call()
        mine, end, within = _Flight(), _ABANDONED, _within.get()
        flight: Any = None
        # From before it is known to others, so that no Ctrl-C leaves them waiting.
        try:
            while (flight := self._join(key, mine)) is not mine:
                if flight is None:
                    return call()
                if (end := _wait(flight)) is not _ABANDONED:
                    return _given(end)
            _within.set((*within, mine))
            value = call()
            end = value, None
            return value
        except Exception as error:
            end = _ended(error)
            raise
        finally:
            _within.set(within)
            self._leave(key, mine, end)
            # The traceback of an error holds this frame.
            end = flight = mine = None  # type: ignore[assignment]

    async def once_async(self, key: Hashable, call: Callable[[], Awaitable[Any]]) -> Any:
        """As ``once``. A call that is cancelled takes nobody along: the next one makes it."""
        mine, end, within = _Flight(), _ABANDONED, _within.get()
        flight: Any = None
        try:
            while (flight := self._join(key, mine)) is not mine:
                if flight is None:
                    return await call()
                if (end := await _wait_async(flight)) is not _ABANDONED:
                    return _given(end)
            _within.set((*within, mine))
            value = await call()
            end = value, None
            return value
        except Exception as error:
            end = _ended(error)
            raise
        finally:
            _within.set(within)
            self._leave(key, mine, end)
            end = flight = mine = None  # type: ignore[assignment]

    def _join(self, key: Hashable, mine: _Flight) -> _Flight | None:
        """The call of this key that is under way, which is ``mine`` where there was none; None within itself."""
        with self._lock:
            flight = self._flights.setdefault(key, mine)
        return None if flight in _within.get() else flight

    def _leave(self, key: Hashable, flight: _Flight, end: Any) -> None:
        # Before anybody hears of it: whoever calls again then makes a call.
        with self._lock:
            if self._flights.get(key) is flight:
                del self._flights[key]
        # In a child of fork nobody waits for it, and its lock may be one that another thread held.
        if flight.pid == os.getpid():
            flight.end.set_result(end)

    def after_fork(self) -> None:
        """In the child: the threads that would end the calls under way, or give the lock back, are not there."""
        self._lock = threading.Lock()
        self._flights = {}

    def __repr__(self) -> str:
        return f"<cached: {len(self._values)} of at most {self._max_entries} values>"


def _given(end: _End) -> Any:
    value, error = end
    if error is not None:
        raise error
    return value


def _ended(error: Exception) -> Any:
    """What the others are given of an error. How long this caller would wait is no matter of theirs."""
    deadline = Deadline.current()
    if isinstance(error, TimeoutExceededError) and deadline is not None and deadline.expired:
        return _ABANDONED
    return None, error


def _loop_runs() -> bool:
    # Not imported for this: where a loop runs, it is there.
    running = getattr(sys.modules.get("asyncio"), "_get_running_loop", None)
    return running is not None and running() is not None


def _wait(flight: _Flight) -> Any:
    """The end of a call that another thread makes, until the deadline around this one. Ctrl-C ends the wait."""
    blocks()
    deadline = Deadline.current()
    while True:
        left = LONGEST_WAIT
        if deadline is not None:
            left = min(deadline.remaining(), LONGEST_WAIT if deadline._clock is None else POLL)
        try:
            return flight.end.result(left)
        except FutureTimeoutError:
            if deadline is not None and deadline.expired:
                raise TimeoutExceededError("call timed out: its deadline has passed") from None


async def _wait_async(flight: _Flight) -> Any:
    """As ``_wait``, for a task."""
    import asyncio

    end = asyncio.wrap_future(flight.end)
    if Deadline.current() is None:
        return await end
    return await _UNTIL_DEADLINE.call_async(lambda: end)


@makes("the cache of a Fallback", "cached(max_age=60)")
def cached(
    max_age: float | timedelta = 300.0,
    max_entries: int = 1024,
    key: Callable[..., Hashable] | None = None,
    *,
    clock: ManualClock | None = None,
) -> Cache:
    """The last good value of each key, for a ``Fallback``; of several calls of one key at a time, one is made.

    Args:
        max_age: seconds after which a value is too old; ``math.inf`` for never.
        max_entries: how many values are kept; the one that came longest ago makes room.
        key: a function of the call's arguments that gives what can be hashed: calls of one key have one value. Default:
            the function itself and its arguments, so that a new lambda each time is another call each time.
        clock: a ManualClock for tests.

    Whoever shares a key is given the same object: what is changed in it is changed for all.
    """
    return Cache(max_age, max_entries, key, clock)
