"""The waiting forms of the native classes: threads wait on a lock, tasks on a future, both woken by the core.

They are Python because that is where waiting can be interrupted (Ctrl-C) and cancelled (asyncio). asyncio is imported
where a loop runs, and so is there: at the start it would take longer than all of tidegate.
"""

from __future__ import annotations

import math
import time
from collections.abc import AsyncIterator, Callable, Hashable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from ._line import Line
from ._parking import Deadline, Parked, Suspended
from ._time import sleep, sleep_async, timeout_seconds
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
        raise RateLimitedError(bucket._refused(n, booking.retry_after, seconds), booking.retry_after)
    return booking


def acquire_keyed(limiter: RateLimiter, key: Key, n: int | None, timeout: Timeout, tier: Tier | None) -> None:
    """RateLimiter.acquire."""
    n = 1 if n is None else n
    patience = _Patience(
        timeout, limiter.clock, lambda decision, wait, seconds: limiter._refused(n, wait, seconds, tier)
    )
    _until_admitted(lambda: limiter.check(key, n, tier), lambda: limiter.refund(key, n, tier), patience)


async def acquire_keyed_async(
    limiter: RateLimiter, key: Key, n: int | None, timeout: Timeout, tier: Tier | None
) -> None:
    """RateLimiter.acquire_async."""
    n = 1 if n is None else n
    patience = _Patience(
        timeout, limiter.clock, lambda decision, wait, seconds: limiter._refused(n, wait, seconds, tier)
    )
    await _until_admitted_async(
        lambda: limiter.check(key, n, tier),
        lambda: limiter.refund(key, n, tier),
        patience,
        lambda: (id(limiter), key, n, id(tier)),
    )


def acquire_set(limits: LimitSet, keys: Keys, n: int | None, timeout: Timeout, named: Keys) -> None:
    """LimitSet.acquire."""
    keys, n = _all_keys(keys, named), 1 if n is None else n
    patience = _set_patience(limits, n, timeout)
    _until_admitted(lambda: limits.check(keys, n), lambda: limits.refund(keys, n), patience)


async def acquire_set_async(limits: LimitSet, keys: Keys, n: int | None, timeout: Timeout, named: Keys) -> None:
    """LimitSet.acquire_async."""
    keys, n = _all_keys(keys, named), 1 if n is None else n
    await _until_admitted_async(
        lambda: limits.check(keys, n),
        lambda: limits.refund(keys, n),
        _set_patience(limits, n, timeout),
        lambda: (id(limits), frozenset(keys.items()), n),
    )


def _all_keys(keys: Keys, named: Keys) -> dict[str, Key]:
    """A copy: the caller may change its own while this waits."""
    if keys is not None and not isinstance(keys, Mapping):
        raise TypeError(f"keys: expected a mapping of names to keys, or keywords, got {type(keys).__name__}")
    return {**(keys or {}), **(named or {})}


def _set_patience(limits: LimitSet, n: int, timeout: Timeout) -> _Patience:
    return _Patience(
        timeout,
        limits.clock,
        lambda decision, wait, seconds: limits._refused(n, wait, seconds, decision.denied_by),
    )


# Buckets book ahead; these limits cannot, so who waits comes back when it may be admitted. What is admitted with a
# delay (a leaky bucket) is taken already, and given back when the wait for its turn is broken off.


def _until_admitted(check: Callable[[], Decision], refund: Callable[[], None], patience: _Patience) -> None:
    while not (decision := check()):
        sleep(patience.for_denied(decision), patience.clock)
    if decision.delay:
        try:
            sleep(patience.for_delay(decision), patience.clock)
        except BaseException:
            refund()
            raise


async def _until_admitted_async(
    check: Callable[[], Decision],
    refund: Callable[[], None],
    patience: _Patience,
    tokens: Callable[[], Hashable],
) -> None:
    clock = patience.clock
    decision = check()
    if not decision:
        # Who cannot be served in time learns it at once, and who can stands in line.
        patience.for_denied(decision)
        # Not before: what `check` did not refuse can be hashed.
        with Line(tokens()) as line:
            # A ManualClock wakes nobody, so that each of its tasks looks for itself.
            if clock is None:
                await line.until_first(patience.left())
            while not (decision := check()):
                await sleep_async(patience.for_denied(decision), clock)
    if decision.delay:
        try:
            await sleep_async(patience.for_delay(decision), clock)
        except BaseException:
            refund()
            raise


class _Patience:
    """What is left of a timeout, on the limit's own clock. ``refused`` makes the text of a refusal."""

    __slots__ = ("_end", "_refused", "_timeout", "clock")

    def __init__(
        self, timeout: Timeout, clock: ManualClock | None, refused: Callable[[Decision, float, float | None], str]
    ) -> None:
        self._timeout, self.clock, self._refused = timeout_seconds(timeout), clock, refused
        self._end = None if self._timeout is None else self._now() + self._timeout

    def _now(self) -> float:
        return time.monotonic() if self.clock is None else self.clock.now_ns / 1e9

    def left(self) -> float | None:
        """The seconds that are left; None: for ever."""
        return None if self._end is None else max(self._end - self._now(), 0.0)

    def for_denied(self, decision: Decision) -> float:
        """The seconds to wait before another try, if they are in time."""
        return self._in_time(decision.retry_after, decision)

    def for_delay(self, decision: Decision) -> float:
        """The seconds until an admission's turn, if they are in time."""
        return self._in_time(decision.delay, decision)

    def _in_time(self, wait: float, decision: Decision) -> float:
        if math.isinf(wait) or (self._end is not None and wait > self._end - self._now() + 1e-9):
            raise RateLimitedError(self._refused(decision, wait, self._timeout), wait, decision.denied_by)
        return wait


def push(queue: BoundedQueue[T], item: T, timeout: Timeout, place: tuple[int, int]) -> None:
    """BoundedQueue.push."""
    deadline = Deadline(timeout)
    while not queue._look_push(item, place):
        with Parked(queue._listen_push) as parked:
            if queue._look_push(item, place):
                return
            in_time = parked.wait(deadline)
        if not in_time:
            # A last look: room may have come with the deadline. The one that counts a refusal.
            if queue._last_push(item, place):
                return
            raise QueueFullError(queue._refused(), queue.retry_after)


def pop(queue: BoundedQueue[T], timeout: Timeout) -> T:
    """BoundedQueue.pop."""
    deadline = Deadline(timeout)
    while (item := queue.try_pop(_NOTHING)) is _NOTHING:
        with Parked(queue._listen_pop) as parked:
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


async def push_async(queue: BoundedQueue[T], item: T, timeout: Timeout, place: tuple[int, int]) -> None:
    """BoundedQueue.push_async."""
    deadline = Deadline(timeout)
    while not queue._look_push(item, place):
        with Suspended(queue._listen_push) as suspended:
            if queue._look_push(item, place):
                return
            in_time = await suspended.wait(deadline)
        if not in_time:
            if queue._last_push(item, place):
                return
            raise QueueFullError(queue._refused(), queue.retry_after)


async def pop_async(queue: BoundedQueue[T], timeout: Timeout) -> T:
    """BoundedQueue.pop_async: nothing is awaited between the pop and the return, so a cancel takes no item along."""
    deadline = Deadline(timeout)
    while (item := queue.try_pop(_NOTHING)) is _NOTHING:
        with Suspended(queue._listen_pop) as suspended:
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


def acquire_permit(
    limiter: ConcurrencyLimiter, timeout: float | None, partition: str | None = None
) -> ConcurrencyPermit:
    """ConcurrencyLimiter.acquire, where there is none at once."""
    if timeout == 0:
        return _without_wait(limiter, partition)
    with Parked(lambda wake: limiter._wait(wake, partition)) as parked:
        # From here on, as the limiter's own count of the wait.
        deadline = Deadline(timeout)
        while True:
            permit, pause = parked.listener.poll()
            if permit is not None:
                return permit
            if deadline.passed():
                parked.listener.time_out()
                raise _no_permit(limiter, timeout)
            parked.wait(deadline, pause)


async def acquire_permit_async(
    limiter: ConcurrencyLimiter, timeout: float | None, partition: str | None = None
) -> ConcurrencyPermit:
    """ConcurrencyLimiter.acquire_async: nothing is awaited between the permit and the return, so a cancel takes none
    along.
    """
    if timeout == 0:
        return _without_wait(limiter, partition)
    permit = limiter._at_once(partition)
    if permit is not None:
        return permit
    with Suspended(lambda wake: limiter._wait(wake, partition)) as suspended:
        # From here on, as the limiter's own count of the wait.
        deadline = Deadline(timeout)
        while True:
            permit, pause = suspended.listener.poll()
            if permit is not None:
                return permit
            if deadline.passed():
                suspended.listener.time_out()
                raise _no_permit(limiter, timeout)
            await suspended.wait(deadline, pause)


def _without_wait(limiter: ConcurrencyLimiter, partition: str | None) -> ConcurrencyPermit:
    """Without a wait: a denial counts as refused, not as timed out."""
    permit = limiter.try_acquire(partition)
    if permit is None:
        raise _no_permit(limiter)
    return permit


def _no_permit(limiter: ConcurrencyLimiter, timeout: float | None = None) -> ConcurrencyLimitError:
    return ConcurrencyLimitError(limiter._refused(timeout), limiter.retry_after)


async def enter_permit(permit: ConcurrencyPermit) -> ConcurrencyPermit:
    """ConcurrencyPermit.__aenter__."""
    return permit


async def exit_permit(permit: ConcurrencyPermit, error: BaseException | None) -> None:
    """ConcurrencyPermit.__aexit__."""
    permit.__exit__(None if error is None else type(error), error, None)
