"""Work off what is submitted, by so many workers, with retries, a dead letter and an end in order."""

from __future__ import annotations

import atexit
import contextvars
import threading
import time
import weakref
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from ._deadline import forget
from ._forked import renewed
from ._functions import called
from ._jobs import Jobs, ProcessorStats
from ._log import blocks, log
from ._retry import RetryPolicy
from ._threads import Threads
from ._time import LONGEST_WAIT, limit_seconds, timeout_seconds
from ._work import Work
from .errors import ConfigError

if TYPE_CHECKING:
    import asyncio

T = TypeVar("T")
# Seconds more that a close has for the dead letters of what it cuts.
GRACE = 1.0
_MOST_WORKERS = 10_000

# Whose workers this runs in.
_inside: contextvars.ContextVar[tuple[Any, ...]] = contextvars.ContextVar("tidegate.processors", default=())
_open: weakref.WeakSet[Processor[Any]] = weakref.WeakSet()


class Processor(Generic[T]):
    """Works off items: at most ``workers`` at once, at most ``capacity`` waiting, none lost.

        async with Processor(store, workers=20, retry=RetryPolicy(attempts=3), dead_letter=keep, timeout=5) as orders:
            future = await orders.submit_async(order)   # waits for room: backpressure
            await future                                # the handler's result, or its last error

    Args:
        handler: a function of the item. An ``async def`` runs in tasks of one event loop, any other in threads.
        workers: the most items that are worked on at once.
        capacity: the most items that wait, those that wait for another attempt among them.
        retry: a RetryPolicy. An item that waits for its next attempt holds no worker.
        dead_letter: called as ``dead_letter(item, error, attempts)`` with what failed for good; sync, or async where
            the handler is. If it raises, or is over ``timeout``, the item counts as failed.
        timeout: seconds for one attempt, which sees them as its ``Deadline``. A task is cancelled. A thread cannot be
            stopped: it is left alone, its result counts for nothing, and another takes its place, as long as no more
            than ``workers`` are left like that; from there on each is one worker less until it returns.
        retry_after: seconds to tell who finds no room (QueueFullError, Retry-After); by default how long all that is
            under way takes at the rate of the last ten seconds, 1 to 60 and up to a fifth more, and 1 where that is not
            known yet.

    Futures: cancelled before the item begins it is taken out (``withdrawn``); later a future of threads cannot be
    cancelled, and of a cancelled future of asyncio the result is nobody's. A handler that is cancelled, by itself or
    with its loop, has failed and is not tried again.

    Threads and tasks are there while there is work. They see the context variables of whoever made the processor, but
    no ``Deadline``. In a child of fork a processor is empty: what was accepted is the parent's. What is
    left when the interpreter ends is said in the log. When its event loop is closed what was under way has failed, and
    the rest waits for the next loop that uses it.

    Raises:
        ConfigError: a value outside what is allowed (a ValueError); TypeError: a wrong type.
    """

    __slots__ = ("__weakref__", "_crew", "_jobs", "_tasks", "_work")

    def __init__(
        self,
        handler: Callable[[T], Any],
        workers: int = 10,
        capacity: int = 5_000,
        retry: RetryPolicy | None = None,
        dead_letter: Callable[[T, BaseException, int], object] | None = None,
        timeout: float | timedelta | None = None,
        *,
        retry_after: float | timedelta | None = None,
    ) -> None:
        limit = limit_seconds("timeout", timeout)
        self._work = Work(handler, retry, dead_letter, limit)
        if isinstance(workers, bool) or not isinstance(workers, int):
            raise TypeError(f"workers: expected an int, got {type(workers).__name__}")
        if not 1 <= workers <= _MOST_WORKERS:
            raise ConfigError(f"workers: must be 1 to {_MOST_WORKERS}, got {workers}")
        told = timeout_seconds(retry_after, "retry_after")
        if told is None and retry_after is not None:
            raise ConfigError("retry_after: must be finite")
        context = contextvars.copy_context()
        context.run(forget)
        context.run(_inside.set, (*_inside.get(), weakref.ref(self)))
        clock = None if retry is None else retry._clock
        self._tasks: Any = None
        self._crew: Any
        if self._work.is_async:
            # Not at the start of the program, for asyncio is loaded by it.
            from ._tasks import GRACE as grace
            from ._tasks import Tasks

            self._jobs = Jobs(workers, capacity, None, None if limit is None else limit + grace, clock, told)
            self._crew = self._tasks = Tasks(self._jobs, self._work, context)
        else:
            self._jobs = Jobs(workers, capacity, workers, limit, clock, told)
            self._crew = Threads(self._jobs, self._work, context)
        _open.add(self)
        renewed(self)

    # Submit

    def try_submit(self, item: T) -> Future[Any] | asyncio.Future[Any] | None:
        """The item's future, or None where there is no room; QueueClosedError when closed."""
        if self._tasks is not None:
            self._tasks.bind()
        return self._put(item) if self._jobs.try_room() else None

    def submit(self, item: T, timeout: float | timedelta | None = None) -> Future[Any]:
        """Blocks this thread for room, and gives the item's future. Raises QueueFullError at the timeout,
        QueueClosedError.
        """
        if self._tasks is not None and self._tasks.bind():
            blocks()
        if not self._jobs.try_room(waits=True):
            self._jobs.wait_room(timeout)
        future: Future[Any] = self._put(item)
        return future

    async def submit_async(self, item: T, timeout: float | timedelta | None = None) -> asyncio.Future[Any]:
        """Suspends this task for room, and gives the item's future. A cancelled one has put nothing in."""
        if self._tasks is not None:
            self._tasks.bind()
        if not self._jobs.try_room(waits=True):
            await self._jobs.wait_room_async(timeout)
        future = self._put(item)
        if isinstance(future, Future):
            import asyncio

            return asyncio.wrap_future(future)
        own: asyncio.Future[Any] = future
        return own

    def _put(self, item: T) -> Any:
        job = self._crew.job(item)
        turn = self._jobs.accept(job)
        if turn is not None:
            self._crew.start(turn)
        return job

    # The end

    def close(self, drain: Literal[True, "give_back"] = True, timeout: float | timedelta | None = None) -> list[T]:
        """Accepts no more, and waits until all is worked off.

        Args:
            drain: True; or ``"give_back"``: what has not begun is given back, its futures are cancelled, and what waits
                for another attempt ends by its last error.
            timeout: after so many seconds the rest is given back, and attempts that still run are cut and not
                tried again; their dead letters have one second more.

        Gives the items that have not begun, in their order. It may be called again, and from several threads. From
        within a handler it does not wait: that would be for itself.
        """
        given, seconds = self._begin_close(drain, timeout)
        if self._is_inside():
            return given
        done = threading.Event()
        if self._jobs.watch(done.set):
            return given
        if self._tasks is not None and self._tasks.is_here():
            raise RuntimeError("close: its event loop runs here and would stand still; write `await ….close_async(…)`")
        if not _wait(done, seconds):
            given += self._cut()
            if not _wait(done, GRACE):
                self._say_left()
        return given

    async def close_async(
        self, drain: Literal[True, "give_back"] = True, timeout: float | timedelta | None = None
    ) -> list[T]:
        """As ``close``, suspending this task. If it is cancelled the processor is closed, and works on."""
        import asyncio

        given, seconds = self._begin_close(drain, timeout)
        if self._is_inside():
            return given
        loop = asyncio.get_running_loop()
        done = asyncio.Event()

        def tell() -> None:
            try:
                loop.call_soon_threadsafe(done.set)
            except RuntimeError:
                # The loop is closed, and nobody waits.
                return

        async def wait(seconds: float | None) -> bool:
            try:
                await asyncio.wait_for(done.wait(), seconds)
            except asyncio.TimeoutError:
                return False
            return True

        if self._jobs.watch(tell) or await wait(seconds):
            return given
        given += self._cut()
        if not await wait(GRACE):
            self._say_left()
        return given

    def _begin_close(self, drain: Any, timeout: Any) -> tuple[list[T], float | None]:
        if drain is not True and drain != "give_back":
            raise ConfigError(f'drain: must be True or "give_back", got {drain!r}')
        seconds = timeout_seconds(timeout)
        self._jobs.close()
        self._crew.rescue()
        _open.discard(self)
        return ([] if drain is True else self._give_back()), seconds

    def _give_back(self) -> list[T]:
        jobs = self._jobs.take_back()
        for job in jobs:
            self._crew.drop(job)
        self._crew.fill()
        return [job.item for job in jobs]

    def _cut(self) -> list[T]:
        given = self._give_back()
        self._crew.cut()
        return given

    def _say_left(self) -> None:
        log.error("%r is closed, and its dead letters have not ended in time", self)

    def _is_inside(self) -> bool:
        return any(one() is self for one in _inside.get())

    def __enter__(self) -> Processor[T]:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    async def __aenter__(self) -> Processor[T]:
        if self._tasks is not None:
            self._tasks.bind()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close_async()

    def after_fork(self) -> None:
        """In the child: nothing is accepted, and no thread or loop is there."""
        is_closed = self._jobs.is_closed
        self._jobs.renew()
        self._crew.renew()
        if is_closed:
            self._jobs.close()

    # How it stands

    def stats(self) -> ProcessorStats:
        """Where its items are, at one instant."""
        return self._jobs.stats()

    @property
    def depth(self) -> int:
        """Items that wait, for their first or another attempt."""
        return self._jobs.depth

    @property
    def is_accepting(self) -> bool:
        """Whether ``try_submit`` would take an item."""
        return self._jobs.is_accepting

    @property
    def is_closed(self) -> bool:
        """Whether it was closed."""
        return self._jobs.is_closed

    @property
    def retry_after(self) -> float:
        """Seconds to tell who finds no room."""
        return self._jobs.retry_after

    @property
    def workers(self) -> int:
        """The most items that are worked on at once."""
        return self._jobs.workers

    @property
    def capacity(self) -> int:
        """The most items that wait."""
        return self._jobs.capacity

    def __len__(self) -> int:
        return self._jobs.depth

    def __bool__(self) -> bool:
        # Without this an empty processor would be falsy.
        return True

    def __repr__(self) -> str:
        stats = self._jobs.stats()
        shown = f"{type(self).__name__}({called(self._work.handler)}, workers={self.workers}, capacity={self.capacity}"
        shown += f", waiting={stats.waiting}, active={stats.active}, retrying={stats.retrying}"
        return shown + (", closed)" if self.is_closed else ")")


def _wait(done: threading.Event, seconds: float | None) -> bool:
    end = None if seconds is None else time.monotonic() + seconds
    while not done.wait(LONGEST_WAIT if end is None else max(0.0, min(LONGEST_WAIT, end - time.monotonic()))):
        if end is not None and time.monotonic() >= end:
            return done.is_set()
    return True


def _at_exit() -> None:
    """Nobody works off what is left: that is said, and not waited for."""
    for processor in list(_open):
        stats = processor.stats()
        if left := stats.waiting + stats.active + stats.retrying:
            log.error("the program ends with %d items in %r; close it before", left, processor)


atexit.register(_at_exit)
