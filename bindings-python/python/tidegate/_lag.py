"""How far a consumer is behind: what the broker holds against what was read."""

from __future__ import annotations

import math
import threading
from datetime import timedelta
from typing import Any

from ._log import log
from ._tidegate import ManualClock
from ._time import clock_of, limit_seconds, now_ns, span_ns

_Key = tuple[str, int]


class Lag:
    """The messages of a consumer's partitions that it has not been given yet: a number for gauges and load shedders.

        lag = Lag(consumer)
        gauge.set_function(lag)
        shedder = LoadShedder([Signal("gauge", lambda: lag.last, start=5_000, full=10_000)])

    Calling it gives the sum. With confluent-kafka it asks the brokers, in the thread that calls, if the last answer is
    older than ``every`` seconds; with aiokafka ``await lag.refresh_async()`` does, and a call gives the last answer. It
    is NaN while there is none, also after brokers could not be asked: an old number would hide the trouble.

    Args:
        consumer: what ``pause_when`` gave, or a consumer of confluent-kafka or aiokafka.
        every: how old an answer may be, in seconds.
        timeout: how long brokers may take, in seconds.
    """

    def __init__(
        self,
        consumer: Any,
        *,
        every: float | timedelta = 5.0,
        timeout: float | timedelta = 5.0,
        clock: ManualClock | None = None,
    ) -> None:
        self._is_async = hasattr(consumer, "end_offsets")
        if not self._is_async and not hasattr(consumer, "get_watermark_offsets"):
            raise TypeError(
                f"consumer: expected a consumer of confluent-kafka or aiokafka, got {type(consumer).__name__}"
            )
        self._consumer = consumer
        self._every_ns = span_ns(limit_seconds("every", every))
        self._timeout = limit_seconds("timeout", timeout)
        self._clock = clock_of(clock)
        self._lock = threading.Lock()
        self._read_ns: int | None = None
        self._partitions: dict[_Key, int] | None = None

    def __call__(self) -> float:
        """The sum, refreshed if it is time and the client can be asked without ``await``."""
        if not self._is_async and self._is_due():
            with self._lock:
                if self._is_due():
                    self._try_refresh()
        return self.last

    @property
    def last(self) -> float:
        """The sum of the last answer, NaN while there is none: for who must not wait for brokers, as a request that has
        a load shedder's turn must not. Somebody else calls or refreshes."""
        partitions = self._partitions
        return math.nan if partitions is None else float(sum(partitions.values()))

    @property
    def partitions(self) -> dict[tuple[str, int], int]:
        """The last answer for each topic and partition; empty while there is none."""
        return dict(self._partitions or {})

    def _is_due(self) -> bool:
        return self._read_ns is None or now_ns(self._clock) - self._read_ns >= self._every_ns

    def _try_refresh(self) -> None:
        try:
            self.refresh()
        except Exception:
            if self._partitions is not None:
                log.warning("the lag of a consumer could not be read, and is NaN until it can be", exc_info=True)
            self._partitions = None
            self._read_ns = now_ns(self._clock)

    def refresh(self) -> None:
        """Asks the brokers now; raises what the client raises. For confluent-kafka."""
        if self._is_async:
            raise TypeError("the consumer is one of aiokafka: await lag.refresh_async()")
        assigned, found = self._consumer.assignment(), {}
        unread = []
        for each in self._consumer.position(assigned) if assigned else ():
            # Negative: nothing was read since it was assigned.
            if each.offset < 0:
                unread.append(each)
            else:
                found[each.topic, each.partition] = each.offset
        for each in self._consumer.committed(unread, self._timeout) if unread else ():
            found[each.topic, each.partition] = each.offset
        for each in assigned:
            # Not the cached ones: they stand still while a partition is paused.
            low, high = self._consumer.get_watermark_offsets(each, timeout=self._timeout)
            # What retention has removed, nobody reads; of a group that has never committed, all is unread.
            at = max(found[each.topic, each.partition], low)
            found[each.topic, each.partition] = max(0, high - at)
        self._keep(found)

    async def refresh_async(self) -> None:
        """As ``refresh``, for aiokafka."""
        if not self._is_async:
            raise TypeError("the consumer is one of confluent-kafka: lag.refresh()")
        import asyncio

        try:
            self._keep(await asyncio.wait_for(self._read_async(), self._timeout))
        except BaseException:
            self._partitions = None
            raise

    async def _read_async(self) -> dict[_Key, int]:
        found = {}
        ends = await self._consumer.end_offsets(list(self._consumer.assignment()))
        for each, high in ends.items():
            found[each.topic, each.partition] = max(0, high - await self._consumer.position(each))
        return found

    def _keep(self, found: dict[_Key, int]) -> None:
        self._partitions = found
        self._read_ns = now_ns(self._clock)
