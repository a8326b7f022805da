"""A consumer of confluent-kafka that pauses by itself.

librdkafka throws away what it has fetched ahead when a partition is paused, and cannot be asked which are: so a pause
lasts a while, and what was paused is known here. A partition that a rebalance brings anew is not paused; one that it
brings back still is, in the versions that were tried (2.16), and was not in old ones. So each one that is assigned is
paused or resumed by what holds now, before anything is read from it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, Protocol, TypeVar

import confluent_kafka
from confluent_kafka import KafkaException, TopicPartition

from ._pausing import Pausing, Switch

# While paused the source is asked so often, and the client is polled, so that the group does not take it for dead.
SLICE = 0.05

_Key = tuple[str, int]


class _Callback(Protocol):
    def __call__(self, consumer: Any, partitions: list[TopicPartition], /) -> object: ...


class PausingConsumer(Pausing):
    """A ``confluent_kafka.Consumer`` that pauses while its source is under pressure, made by ``pause_when``.

    All that the consumer has is here, too. Subscribe, assign, pause and resume through this object. One thread polls;
    others may commit, store offsets, pause and resume.
    """

    def __init__(self, consumer: confluent_kafka.Consumer, switch: Switch) -> None:
        self._consumer = consumer
        self._switch = switch
        # Callbacks of the consumer, which run within its methods, take it again. Never held during a poll.
        self._lock = threading.RLock()
        # Paused here and not resumed since, perhaps because another consumer has them now.
        self._ours: set[_Key] = set()
        # Paused by the user: they stay so.
        self._users: set[_Key] = set()
        # The group's protocol, which the client does not tell: unknown until it refuses the other's call.
        self._is_incremental: bool | None = None

    def __enter__(self) -> PausingConsumer:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self, *given: Any, **named: Any) -> Any:
        return self._consumer.close(*given, **named)

    def poll(self, timeout: float | None = None) -> confluent_kafka.Message | None:
        """As the consumer's; None while paused."""
        return _read(self, timeout, self._consumer.poll)

    def consume(self, num_messages: int = 1, timeout: float | None = None) -> list[confluent_kafka.Message]:
        """As the consumer's; empty while paused."""
        return _read(self, timeout, lambda wait: self._consumer.consume(num_messages, wait))

    def _turn(self) -> bool:
        """Pauses or resumes if it is time, and says whether it is paused."""
        with self._lock:
            was, now = self._switch.paused, self._switch.look()
            if now:
                # All that is new, as after an assignment that was made past this object.
                self._settle(self._assigned() - self._ours)
            elif was:
                self._settle(self._assigned())
            return now

    def _settle(self, assigned: set[_Key]) -> None:
        """Pauses or resumes partitions that are assigned."""
        if self._switch.paused:
            self._ours |= assigned
            if assigned:
                self._consumer.pause(_partitions(assigned))
        else:
            back = (assigned & self._ours) - self._users
            self._ours -= assigned
            if back:
                self._consumer.resume(_partitions(back))

    def _assigned(self) -> set[_Key]:
        return _keys(self._consumer.assignment())

    def pause(self, partitions: list[TopicPartition]) -> None:
        """Pauses partitions until they are resumed by ``resume``: the source does not."""
        with self._lock:
            self._users |= _keys(partitions)
            self._consumer.pause(partitions)

    def resume(self, partitions: list[TopicPartition]) -> None:
        """Resumes partitions, once the source is not under pressure."""
        with self._lock:
            keys = _keys(partitions)
            self._users -= keys
            if self._switch.paused:
                self._ours |= keys
            else:
                self._consumer.resume(partitions)

    def subscribe(
        self,
        topics: list[str],
        on_assign: _Callback | None = None,
        on_revoke: _Callback | None = None,
        on_lost: _Callback | None = None,
        **named: Any,
    ) -> None:
        """As the consumer's; the callbacks are given this object as the consumer."""

        def assigned(_consumer: object, partitions: list[TopicPartition]) -> None:
            try:
                if on_assign is not None:
                    on_assign(self, partitions)
            finally:
                self._rebalanced(partitions)

        def gone(callback: _Callback) -> Callable[[object, list[TopicPartition]], object]:
            return lambda _consumer, partitions: callback(self, partitions)

        for name, callback in (("on_revoke", on_revoke), ("on_lost", on_lost)):
            if callback is not None:
                named[name] = gone(callback)
        self._consumer.subscribe(topics, on_assign=assigned, **named)

    def _rebalanced(self, partitions: list[TopicPartition]) -> None:
        """The client would assign new partitions after the callback, and read from them at once. So while paused they
        are assigned here, unless the user's callback has done so, perhaps with offsets of its own.
        """
        with self._lock:
            keys, present = _keys(partitions), self._assigned()
            if self._switch.paused and not keys <= present:
                self._assign(partitions, bool(present))
            self._settle(keys)

    def _assign(self, partitions: list[TopicPartition], are_more: bool) -> None:
        """Only the incremental protocol assigns more to those that are kept."""
        if self._is_incremental is None:
            self._is_incremental = are_more or None
        try:
            if self._is_incremental:
                self._consumer.incremental_assign(partitions)
            else:
                self._consumer.assign(partitions)
        except KafkaException:
            if self._is_incremental is not None:
                raise
            self._consumer.incremental_assign(partitions)
            self._is_incremental = True

    def assign(self, partitions: list[TopicPartition]) -> None:
        with self._lock:
            self._consumer.assign(partitions)
            self._settle(self._assigned())

    def incremental_assign(self, partitions: list[TopicPartition]) -> None:
        with self._lock:
            self._consumer.incremental_assign(partitions)
            self._settle(_keys(partitions))


def _keys(partitions: Iterable[TopicPartition]) -> set[_Key]:
    return {(each.topic, each.partition) for each in partitions}


def _partitions(keys: Iterable[_Key]) -> list[TopicPartition]:
    return [TopicPartition(topic, partition) for topic, partition in keys]


_Found = TypeVar("_Found")


def _read(pausing: PausingConsumer, timeout: float | None, read: Callable[[float], _Found]) -> _Found:
    end = None if timeout is None or timeout < 0 else time.monotonic() + timeout
    while True:
        paused = pausing._turn()
        left = -1.0 if end is None else max(0.0, end - time.monotonic())
        found = read(0.0 if paused else left)
        if found or (end is not None and time.monotonic() >= end):
            return found
        if paused:
            # Not in the client, which lets one thread in at a time: others could not commit for as long as the pause.
            time.sleep(SLICE if end is None else min(SLICE, left))
