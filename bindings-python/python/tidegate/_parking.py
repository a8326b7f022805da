"""Threads that wait on a lock and tasks that wait on a future, both registered with the core and woken by it."""

from __future__ import annotations

import contextlib
import functools
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from ._log import blocks
from ._time import LONGEST_WAIT, timeout_seconds

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop


class _Registered(Protocol):
    def cancel(self) -> None: ...


L = TypeVar("L", bound=_Registered)
_Listen = Callable[[Callable[[], object]], L]


class Deadline:
    __slots__ = ("_end",)

    def __init__(self, timeout: float | timedelta | None) -> None:
        seconds = timeout_seconds(timeout)
        self._end = None if seconds is None else time.monotonic() + seconds

    def left(self) -> float:
        """Seconds left, at most LONGEST_WAIT."""
        return LONGEST_WAIT if self._end is None else min(self._end - time.monotonic(), LONGEST_WAIT)

    def passed(self) -> bool:
        return self._end is not None and time.monotonic() >= self._end


class Parked(Generic[L]):
    """A registered thread: a lock that the core releases. Waiting on it detaches, and Ctrl-C ends it."""

    __slots__ = ("_listen", "_lock", "listener")

    def __init__(self, listen: _Listen[L]) -> None:
        self._listen = listen
        self._lock = threading.Lock()

    def __enter__(self) -> Parked[L]:
        self._lock.acquire()
        self.listener = self._listen(functools.partial(_unlock, self._lock))
        return self

    def wait(self, deadline: Deadline, at_most: float = LONGEST_WAIT) -> bool:
        """False once the deadline has passed, True when it is worth another try."""
        left = min(deadline.left(), at_most)
        if left > 0:
            blocks()
        return (left > 0 and self._lock.acquire(timeout=left)) or not deadline.passed()

    def __exit__(self, *exc: object) -> None:
        self.listener.cancel()


def _unlock(lock: threading.Lock) -> None:
    # Twice is once.
    with contextlib.suppress(RuntimeError):
        lock.release()


class _Bell:
    """One call into a loop for all that is woken until the loop gets there: each call costs a system call.

    Without a lock: a wake-up may come from anything that the collector runs. Who has appended and finds it rung is
    served by the answer to come, which says "not rung" before it looks.
    """

    __slots__ = ("__weakref__", "_due", "_loop", "_rung")

    def __init__(self, loop: AbstractEventLoop) -> None:
        # Weakly: the loop keeps its bell.
        self._loop = weakref.ref(loop)
        self._due: deque[Callable[[], None]] = deque()
        self._rung = False

    def ring(self, complete: Callable[[], None]) -> None:
        """Has `complete` called in the loop; RuntimeError: it is closed."""
        loop = self._loop()
        if loop is None or loop.is_closed():
            raise RuntimeError("the loop is closed")
        self._due.append(complete)
        if not self._rung:
            self._rung = True
            loop.call_soon_threadsafe(self._answer)

    def _answer(self) -> None:
        self._rung = False
        while self._due:
            self._due.popleft()()


# By loop; touched only in the loop's own thread, but for what is collected.
_bells: weakref.WeakKeyDictionary[AbstractEventLoop, _Bell] = weakref.WeakKeyDictionary()


def _bell_of(loop: AbstractEventLoop) -> _Bell:
    bell = _bells.get(loop)
    return bell if bell is not None else _bells.setdefault(loop, _Bell(loop))


class Suspended(Generic[L]):
    """A registered task: a future that the core completes through its own loop, from whichever thread."""

    __slots__ = ("__weakref__", "_bell", "_future", "_listen", "_loop", "listener")

    def __init__(self, listen: _Listen[L]) -> None:
        import asyncio

        self._listen = listen
        self._loop = asyncio.get_running_loop()
        self._bell = _bell_of(self._loop)
        self._future = self._loop.create_future()

    def __enter__(self) -> Suspended[L]:
        # Weakly: the collector cannot look into the core, which must not keep an abandoned task alive.
        self.listener = self._listen(functools.partial(_wake, weakref.ref(self)))
        return self

    def wake(self) -> None:
        try:
            self._bell.ring(self._complete)
        except RuntimeError:
            # The loop is closed, its task will never run: leave the wake-up to the next waiter.
            self.listener.cancel()

    def _complete(self) -> None:
        if not self._future.done():
            self._future.set_result(None)

    async def wait(self, deadline: Deadline, at_most: float = LONGEST_WAIT) -> bool:
        """As ``Parked.wait``."""
        left = min(deadline.left(), at_most)
        if left <= 0:
            return False
        timer = self._loop.call_later(left, self._complete)
        try:
            await self._future
        finally:
            timer.cancel()
        # For another wait on the same registration.
        self._future = self._loop.create_future()
        return not deadline.passed()

    def __exit__(self, *exc: object) -> None:
        self.listener.cancel()


def _wake(waiter: weakref.ref[Suspended[Any]]) -> None:
    suspended = waiter()
    if suspended is not None:
        suspended.wake()
