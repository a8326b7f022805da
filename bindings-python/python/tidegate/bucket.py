"""Token bucket: the waiting forms over the native class."""

from __future__ import annotations

from datetime import timedelta

from . import _tidegate
from ._tidegate import Reservation
from ._time import sleep, sleep_async, timeout_seconds
from .errors import RateLimitedError

__all__ = ["TokenBucket"]


class TokenBucket(_tidegate.TokenBucket):
    """A token bucket: starts full, refills at ``rate``, holds at most ``burst`` tokens (GCRA, ITU-T I.371).

    ``TokenBucket("400/s", burst=800)``, ``TokenBucket("5 per 15 minutes")`` or ``TokenBucket(400, per=1.0)``.

    Args:
        rate: a text such as ``"100/minute"``, or how many tokens come back per ``per``.
        per: seconds (float or timedelta) for a rate given as a number; default 1.
        burst: the most tokens that can be taken at once; default: the count in the rate, rounded up.
        clock: a ManualClock for tests; default: the machine's monotonic clock.

    Raises:
        ConfigError: a value outside what is allowed (a ValueError); TypeError: a wrong type.

    All methods may be called from any thread and any event loop at the same time; none but ``acquire`` blocks.
    After ``os.fork`` the child has an independent copy.
    """

    __slots__ = ("__weakref__",)

    def acquire(self, n: int = 1, timeout: float | timedelta | None = None) -> None:
        """Takes ``n`` tokens, blocking this thread until they are there. Ctrl-C gives the booking back.

        A bucket knows the wait beforehand: when it would exceed ``timeout`` seconds this raises RateLimitedError at
        once and takes nothing (``retry_after`` is the wait, ``math.inf`` when ``n`` exceeds the burst).
        """
        booking = self._book(n, timeout)
        if booking.wait:
            try:
                sleep(booking.wait, self.clock)
            except BaseException:
                booking.cancel()
                raise

    async def acquire_async(self, n: int = 1, timeout: float | timedelta | None = None) -> None:
        """Takes ``n`` tokens, suspending this task until they are there; cancelling it gives the booking back.

        Raises RateLimitedError at once when the wait would exceed ``timeout`` seconds, as ``acquire`` does.
        """
        booking = self._book(n, timeout)
        if booking.wait:
            try:
                await sleep_async(booking.wait, self.clock)
            except BaseException:
                booking.cancel()
                raise

    def _book(self, n: int, timeout: float | timedelta | None) -> Reservation:
        seconds = timeout_seconds(timeout)
        booking = self.reserve(n, seconds)
        if not booking:
            limit = "the burst" if booking.retry_after == float("inf") else f"the timeout of {seconds} s"
            raise RateLimitedError(f"rate limited: {n} tokens are beyond {limit}", booking.retry_after)
        return booking
