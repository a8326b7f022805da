"""When the fixed windows of keys end on a clock of tests, to the nanosecond."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from ._forked import renewed
from ._tidegate import ManualClock, RateLimiter
from ._time import span_ns

T = TypeVar("T")


class Ends:
    """The ends of windows, beside the tables that count in them: a native window ends on its ticks, up to 2^-14 of it
    late, which a test that moves time to the end would see.

    The invariant: a key that has an end here is new when that has come, and in its window until then. There is room for
    so many keys; a further one has no end here, and its window ends late, never early.
    """

    __slots__ = ("__weakref__", "_clock", "_ends", "_lock", "_most")

    def __init__(self, clock: ManualClock, most: int) -> None:
        self._clock, self._most = clock, most
        self._ends: dict[tuple[str, float], float] = {}
        # Who finds a window over and who counts in the next one are not to meet.
        self._lock = threading.Lock()
        renewed(self)

    def after_fork(self) -> None:
        """In the child: the thread that would give the lock back is not there."""
        self._lock = threading.Lock()

    def counted(self, key: str, length: float, table: RateLimiter, count: Callable[[RateLimiter], T]) -> T:
        """What ``count`` gives of the key's table, after it has begun the window that it counts in."""
        at = key, length
        with self._lock:
            now = self._clock.now_ns
            self._end(at, now, table)
            if at not in self._ends and (len(self._ends) < self._most or self._has_made_room(now)):
                # Of a window that is under way without an end here, nobody knows when it began.
                if table.peek(key).remaining == table.burst:
                    self._ends[at] = now + span_ns(length)
            return count(table)

    def look(self, key: str, length: float, table: RateLimiter) -> None:
        """Ends the key's window where it is over."""
        with self._lock:
            self._end((key, length), self._clock.now_ns, table)

    def left(self, key: str, length: float) -> float | None:
        """Seconds to the end of the key's window; None where it is not known here."""
        end = self._ends.get((key, length))
        return None if end is None else max(0, end - self._clock.now_ns) / 1e9

    def forget(self, key: str | None = None) -> None:
        """A key is new, or all are."""
        with self._lock:
            for at in [at for at in self._ends if key is None or at[0] == key]:
                del self._ends[at]

    def _end(self, at: tuple[str, float], now: int, table: RateLimiter) -> None:
        end = self._ends.get(at)
        if end is not None and end <= now:
            del self._ends[at]
            table.reset(at[0])

    def _has_made_room(self, now: int) -> bool:
        # Whose native windows may last a little longer: they end on their ticks.
        for at in [at for at, end in self._ends.items() if end <= now]:
            del self._ends[at]
        return len(self._ends) < self._most
