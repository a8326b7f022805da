"""Bounded queue: the waiting forms over the native class, for threads and for any number of event loops."""

from __future__ import annotations

import asyncio
import functools
import threading
import time
import weakref
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any, Generic, TypeVar

from . import _tidegate
from ._time import LONGEST_WAIT, timeout_seconds
from .errors import QueueClosedError, QueueEmptyError, QueueFullError

__all__ = ["BoundedQueue"]

T = TypeVar("T")
_NOTHING: Any = object()


class BoundedQueue(_tidegate.BoundedQueue[T], Generic[T]):
    """A bounded FIFO with watermarks, usable from threads and from several event loops at once.

    Args:
        capacity: the most items held, 1 to 2**24.
        high_watermark, low_watermark: at high x capacity pushes start to be refused, below low x capacity they are
            accepted again; high = 1.0 turns watermarks off.
        on_full: ``"reject"`` the new item, or ``"drop_oldest"`` (watermarks then only steer ``is_accepting``).
        on_drop: called with each dropped item, in the thread that pushed.
        sojourn: stamp items, so that ``try_pop_timed`` tells how long they waited.
        retry_after: seconds to tell refused producers (QueueFullError, Retry-After).
        clock: a ManualClock for tests of sojourn times; waiting uses the machine's time.

    What was accepted is never lost: a push that races ``close`` is either refused or comes out of ``drain``, and a
    cancelled ``pop_async`` takes nothing with it. Items are not visible to the cycle collector: ``drain`` a queue that
    you abandon with items that refer back to it.
    """

    __slots__ = ("__weakref__",)

    def push(self, item: T, timeout: float | timedelta | None = None) -> None:
        """Puts ``item`` in, blocking this thread for room. Raises QueueFullError at the timeout, QueueClosedError."""
        deadline = _Deadline(timeout)
        while not self.try_push(item):
            with _Parked(self._listen_push) as parked:
                if self.try_push(item):
                    return
                if not parked.wait(deadline):
                    # A last look: room may have come with the deadline.
                    if self.try_push(item):
                        return
                    raise QueueFullError(retry_after=self.retry_after)

    def pop(self, timeout: float | timedelta | None = None) -> T:
        """Takes the oldest item, blocking this thread. Raises QueueEmptyError at the timeout, QueueClosedError."""
        deadline = _Deadline(timeout)
        while True:
            item = self.try_pop(_NOTHING)
            if item is not _NOTHING:
                return item
            with _Parked(self._listen_pop) as parked:
                item = self.try_pop(_NOTHING)
                if item is not _NOTHING:
                    return item
                if not parked.wait(deadline):
                    item = self.try_pop(_NOTHING)
                    if item is not _NOTHING:
                        return item
                    raise QueueEmptyError

    async def push_async(self, item: T, timeout: float | timedelta | None = None) -> None:
        """Puts ``item`` in, suspending this task for room. A cancelled push has put nothing in."""
        deadline = _Deadline(timeout)
        while not self.try_push(item):
            with _Suspended(self._listen_push) as suspended:
                if self.try_push(item):
                    return
                if not await suspended.wait(deadline):
                    if self.try_push(item):
                        return
                    raise QueueFullError(retry_after=self.retry_after)

    async def pop_async(self, timeout: float | timedelta | None = None) -> T:
        """Takes the oldest item, suspending this task. A cancelled pop has taken nothing out."""
        deadline = _Deadline(timeout)
        while True:
            item = self.try_pop(_NOTHING)
            if item is not _NOTHING:
                return item
            with _Suspended(self._listen_pop) as suspended:
                item = self.try_pop(_NOTHING)
                if item is not _NOTHING:
                    return item
                if not await suspended.wait(deadline):
                    item = self.try_pop(_NOTHING)
                    if item is not _NOTHING:
                        return item
                    raise QueueEmptyError

    async def __aiter__(self) -> AsyncIterator[T]:
        """Pops until the queue is closed and empty."""
        while True:
            try:
                item = await self.pop_async()
            except QueueClosedError:
                return
            yield item


class _Deadline:
    __slots__ = ("_end",)

    def __init__(self, timeout: float | timedelta | None) -> None:
        seconds = timeout_seconds(timeout)
        self._end = None if seconds is None else time.monotonic() + seconds

    def left(self) -> float:
        """Seconds left, at most LONGEST_WAIT."""
        return LONGEST_WAIT if self._end is None else min(self._end - time.monotonic(), LONGEST_WAIT)

    def passed(self) -> bool:
        return self._end is not None and time.monotonic() >= self._end


class _Parked:
    """A registered thread: a lock that the queue releases. Waiting on it detaches, and Ctrl-C ends it."""

    __slots__ = ("_listen", "_listener", "_lock")

    def __init__(self, listen: Any) -> None:
        self._listen = listen
        self._lock = threading.Lock()

    def __enter__(self) -> _Parked:
        self._lock.acquire()
        self._listener = self._listen(self._lock.release)
        return self

    def wait(self, deadline: _Deadline) -> bool:
        """False once the deadline has passed, True when it is worth another try."""
        left = deadline.left()
        return (left > 0 and self._lock.acquire(timeout=left)) or not deadline.passed()

    def __exit__(self, *exc: object) -> None:
        self._listener.cancel()


class _Suspended:
    """A registered task: a future that the queue completes through its own loop, from whichever thread."""

    __slots__ = ("__weakref__", "_future", "_listen", "_listener", "_loop")

    def __init__(self, listen: Any) -> None:
        self._listen = listen
        self._loop = asyncio.get_running_loop()
        self._future = self._loop.create_future()

    def __enter__(self) -> _Suspended:
        # Weakly: the collector cannot look into the queue, which must not keep an abandoned task alive.
        self._listener = self._listen(functools.partial(_wake, weakref.ref(self)))
        return self

    def wake(self) -> None:
        try:
            self._loop.call_soon_threadsafe(self._complete)
        except RuntimeError:
            # The loop is closed, its task will never run: leave the wake-up to the next waiter.
            self._listener.cancel()

    def _complete(self) -> None:
        if not self._future.done():
            self._future.set_result(None)

    async def wait(self, deadline: _Deadline) -> bool:
        """As ``_Parked.wait``."""
        left = deadline.left()
        if left <= 0:
            return False
        timer = self._loop.call_later(left, self._complete)
        try:
            await self._future
        finally:
            timer.cancel()
        return not deadline.passed()

    def __exit__(self, *exc: object) -> None:
        self._listener.cancel()


def _wake(waiter: weakref.ref[_Suspended]) -> None:
    suspended = waiter()
    if suspended is not None:
        suspended.wake()
