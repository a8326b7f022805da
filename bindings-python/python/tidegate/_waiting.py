"""The waiting forms of the native classes: threads wait on a lock, tasks on a future, both woken by the core.

They are Python because that is where waiting can be interrupted (Ctrl-C) and cancelled (asyncio).
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import math
import threading
import time
import weakref
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeAlias, TypeVar

from ._time import LONGEST_WAIT, sleep, sleep_async, timeout_seconds
from .errors import ConcurrencyLimitError, QueueClosedError, QueueEmptyError, QueueFullError, RateLimitedError

if TYPE_CHECKING:
    from ._tidegate import (
        BoundedQueue,
        ConcurrencyLimiter,
        ConcurrencyPermit,
        Decision,
        LimitSet,
        ManualClock,
        RateLimiter,
        Reservation,
        Tier,
        TokenBucket,
    )

T = TypeVar("T")
Timeout: TypeAlias = float | timedelta | None
Key: TypeAlias = str | bytes
Keys: TypeAlias = Mapping[str, Key] | None
_NOTHING: Any = object()


def acquire(bucket: TokenBucket, n: int | None, timeout: Timeout) -> None:
    """TokenBucket.acquire."""
    booking = _book(bucket, n, timeout)
    if booking.wait:
        try:
            sleep(booking.wait, bucket.clock)
        except BaseException:
            booking.cancel()
            raise


async def acquire_async(bucket: TokenBucket, n: int | None, timeout: Timeout) -> None:
    """TokenBucket.acquire_async."""
    booking = _book(bucket, n, timeout)
    if booking.wait:
        try:
            await sleep_async(booking.wait, bucket.clock)
        except BaseException:
            booking.cancel()
            raise


def _book(bucket: TokenBucket, n: int | None, timeout: Timeout) -> Reservation:
    n = 1 if n is None else n
    seconds = timeout_seconds(timeout)
    booking = bucket.reserve(n, seconds)
    if not booking:
        limit = f"the burst of {bucket.burst}" if math.isinf(booking.retry_after) else f"the timeout of {seconds} s"
        raise RateLimitedError(f"rate limited: {n} tokens are beyond {limit}", booking.retry_after)
    return booking


def acquire_keyed(limiter: RateLimiter, key: Key, n: int | None, timeout: Timeout, tier: Tier | None) -> None:
    """RateLimiter.acquire."""
    n = 1 if n is None else n
    _until_admitted(
        lambda: limiter.check(key, n, tier), lambda: limiter.refund(key, n, tier), n, timeout, limiter.clock
    )


async def acquire_keyed_async(
    limiter: RateLimiter, key: Key, n: int | None, timeout: Timeout, tier: Tier | None
) -> None:
    """RateLimiter.acquire_async."""
    n = 1 if n is None else n
    await _until_admitted_async(
        lambda: limiter.check(key, n, tier), lambda: limiter.refund(key, n, tier), n, timeout, limiter.clock
    )


def acquire_set(limits: LimitSet, keys: Keys, n: int | None, timeout: Timeout, named: Keys) -> None:
    """LimitSet.acquire."""
    keys, n = {**(keys or {}), **(named or {})}, 1 if n is None else n
    _until_admitted(lambda: limits.check(keys, n), lambda: limits.refund(keys, n), n, timeout, limits.clock)


async def acquire_set_async(limits: LimitSet, keys: Keys, n: int | None, timeout: Timeout, named: Keys) -> None:
    """LimitSet.acquire_async."""
    keys, n = {**(keys or {}), **(named or {})}, 1 if n is None else n
    await _until_admitted_async(
        lambda: limits.check(keys, n), lambda: limits.refund(keys, n), n, timeout, limits.clock
    )


# Buckets book ahead; these limits cannot, so who waits comes back when it may be admitted. What is admitted with a delay
# (a leaky bucket) is taken already, and given back when the wait for its turn is broken off.


def _until_admitted(
    check: Callable[[], Decision], refund: Callable[[], None], n: int, timeout: Timeout, clock: ManualClock | None
) -> None:
    patience = _Patience(timeout, clock)
    while not (decision := check()):
        sleep(patience.for_denied(decision, n), clock)
    if decision.delay:
        try:
            sleep(patience.for_delay(decision, n), clock)
        except BaseException:
            refund()
            raise


async def _until_admitted_async(
    check: Callable[[], Decision], refund: Callable[[], None], n: int, timeout: Timeout, clock: ManualClock | None
) -> None:
    patience = _Patience(timeout, clock)
    while not (decision := check()):
        await sleep_async(patience.for_denied(decision, n), clock)
    if decision.delay:
        try:
            await sleep_async(patience.for_delay(decision, n), clock)
        except BaseException:
            refund()
            raise


class _Patience:
    """What is left of a timeout, on the limit's own clock."""

    __slots__ = ("_clock", "_end", "_timeout")

    def __init__(self, timeout: Timeout, clock: ManualClock | None) -> None:
        self._timeout, self._clock = timeout_seconds(timeout), clock
        self._end = None if self._timeout is None else self._now() + self._timeout

    def _now(self) -> float:
        return time.monotonic() if self._clock is None else self._clock.now_ns / 1e9

    def for_denied(self, decision: Decision, n: int) -> float:
        """The seconds to wait before another try, if they are in time."""
        if math.isinf(decision.retry_after):
            raise self._refusal(f"{n} tokens are beyond the limit of {decision.limit}", decision, math.inf)
        return self._in_time(decision.retry_after, decision, n)

    def for_delay(self, decision: Decision, n: int) -> float:
        """The seconds until an admission's turn, if they are in time."""
        return self._in_time(decision.delay, decision, n)

    def _in_time(self, wait: float, decision: Decision, n: int) -> float:
        if self._end is not None and wait > self._end - self._now() + 1e-9:
            raise self._refusal(f"{n} tokens are beyond the timeout of {self._timeout} s", decision, wait)
        return wait

    @staticmethod
    def _refusal(why: str, decision: Decision, wait: float) -> RateLimitedError:
        return RateLimitedError(f"rate limited: {why}", wait, decision.denied_by)


def push(queue: BoundedQueue[T], item: T, timeout: Timeout) -> None:
    """BoundedQueue.push."""
    deadline = _Deadline(timeout)
    while not queue.try_push(item):
        with _Parked(queue._listen_push) as parked:
            if queue.try_push(item):
                return
            in_time = parked.wait(deadline)
        if not in_time:
            # A last look: room may have come with the deadline.
            if queue.try_push(item):
                return
            raise QueueFullError(retry_after=queue.retry_after)


def pop(queue: BoundedQueue[T], timeout: Timeout) -> T:
    """BoundedQueue.pop."""
    deadline = _Deadline(timeout)
    while (item := queue.try_pop(_NOTHING)) is _NOTHING:
        with _Parked(queue._listen_pop) as parked:
            item = queue.try_pop(_NOTHING)
            in_time = item is not _NOTHING or parked.wait(deadline)
        if item is not _NOTHING:
            break
        if not in_time:
            item = queue.try_pop(_NOTHING)
            if item is _NOTHING:
                raise QueueEmptyError
            break
    return item


async def push_async(queue: BoundedQueue[T], item: T, timeout: Timeout) -> None:
    """BoundedQueue.push_async."""
    deadline = _Deadline(timeout)
    while not queue.try_push(item):
        with _Suspended(queue._listen_push) as suspended:
            if queue.try_push(item):
                return
            in_time = await suspended.wait(deadline)
        if not in_time:
            if queue.try_push(item):
                return
            raise QueueFullError(retry_after=queue.retry_after)


async def pop_async(queue: BoundedQueue[T], timeout: Timeout) -> T:
    """BoundedQueue.pop_async: nothing is awaited between the pop and the return, so a cancel takes no item along."""
    deadline = _Deadline(timeout)
    while (item := queue.try_pop(_NOTHING)) is _NOTHING:
        with _Suspended(queue._listen_pop) as suspended:
            item = queue.try_pop(_NOTHING)
            in_time = item is not _NOTHING or await suspended.wait(deadline)
        if item is not _NOTHING:
            break
        if not in_time:
            item = queue.try_pop(_NOTHING)
            if item is _NOTHING:
                raise QueueEmptyError
            break
    return item


async def iterate(queue: BoundedQueue[T]) -> AsyncIterator[T]:
    """BoundedQueue.__aiter__."""
    while True:
        try:
            item = await pop_async(queue, None)
        except QueueClosedError:
            return
        yield item


def acquire_permit(limiter: ConcurrencyLimiter, timeout: float | None) -> ConcurrencyPermit:
    """ConcurrencyLimiter.acquire, where there is none at once."""
    deadline = _Deadline(timeout)
    with _Parked(limiter._wait) as parked:
        while True:
            permit, pause = parked.listener.poll()
            if permit is not None:
                return permit
            if deadline.passed():
                raise _no_permit(limiter)
            parked.wait(deadline, pause)


async def acquire_permit_async(limiter: ConcurrencyLimiter, timeout: float | None) -> ConcurrencyPermit:
    """ConcurrencyLimiter.acquire_async: nothing is awaited between the permit and the return, so a cancel takes none along."""
    permit = limiter._at_once()
    if permit is not None:
        return permit
    deadline = _Deadline(timeout)
    with _Suspended(limiter._wait) as suspended:
        while True:
            permit, pause = suspended.listener.poll()
            if permit is not None:
                return permit
            if deadline.passed():
                raise _no_permit(limiter)
            await suspended.wait(deadline, pause)


def _no_permit(limiter: ConcurrencyLimiter) -> ConcurrencyLimitError:
    return ConcurrencyLimitError(f"concurrency limit of {limiter.limit} reached")


async def enter_permit(permit: ConcurrencyPermit) -> ConcurrencyPermit:
    """ConcurrencyPermit.__aenter__."""
    return permit


async def exit_permit(permit: ConcurrencyPermit) -> None:
    """ConcurrencyPermit.__aexit__."""
    permit.release()


class _Registered(Protocol):
    def cancel(self) -> None: ...


L = TypeVar("L", bound=_Registered)
_Listen = Callable[[Callable[[], object]], L]


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


class _Parked(Generic[L]):
    """A registered thread: a lock that the core releases. Waiting on it detaches, and Ctrl-C ends it."""

    __slots__ = ("_listen", "_lock", "listener")

    def __init__(self, listen: _Listen[L]) -> None:
        self._listen = listen
        self._lock = threading.Lock()

    def __enter__(self) -> _Parked[L]:
        self._lock.acquire()
        self.listener = self._listen(functools.partial(_unlock, self._lock))
        return self

    def wait(self, deadline: _Deadline, at_most: float = LONGEST_WAIT) -> bool:
        """False once the deadline has passed, True when it is worth another try."""
        left = min(deadline.left(), at_most)
        return (left > 0 and self._lock.acquire(timeout=left)) or not deadline.passed()

    def __exit__(self, *exc: object) -> None:
        self.listener.cancel()


def _unlock(lock: threading.Lock) -> None:
    # Twice is once.
    with contextlib.suppress(RuntimeError):
        lock.release()


class _Suspended(Generic[L]):
    """A registered task: a future that the core completes through its own loop, from whichever thread."""

    __slots__ = ("__weakref__", "_future", "_listen", "_loop", "listener")

    def __init__(self, listen: _Listen[L]) -> None:
        self._listen = listen
        self._loop = asyncio.get_running_loop()
        self._future = self._loop.create_future()

    def __enter__(self) -> _Suspended[L]:
        # Weakly: the collector cannot look into the core, which must not keep an abandoned task alive.
        self.listener = self._listen(functools.partial(_wake, weakref.ref(self)))
        return self

    def wake(self) -> None:
        try:
            self._loop.call_soon_threadsafe(self._complete)
        except RuntimeError:
            # The loop is closed, its task will never run: leave the wake-up to the next waiter.
            self.listener.cancel()

    def _complete(self) -> None:
        if not self._future.done():
            self._future.set_result(None)

    async def wait(self, deadline: _Deadline, at_most: float = LONGEST_WAIT) -> bool:
        """As ``_Parked.wait``."""
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


def _wake(waiter: weakref.ref[_Suspended[Any]]) -> None:
    suspended = waiter()
    if suspended is not None:
        suspended.wake()
