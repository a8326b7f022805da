"""A consumer of aiokafka that pauses by itself. It can be asked what is paused; a rebalance forgets it all the same."""

from __future__ import annotations

import asyncio
import inspect
from abc import ABCMeta
from re import Pattern
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import ConsumerStoppedError

from ._pausing import Pausing, Switch

# While paused the source is asked so often, and the client is read from, so that the group does not take it for dead.
SLICE = 0.1


class PausingAIOConsumer(Pausing):
    """An ``aiokafka.AIOKafkaConsumer`` that pauses while its source is under pressure, made by ``pause_when``.

    All that the consumer has is here, too. Subscribe, pause and resume through this object.
    """

    def __init__(self, consumer: AIOKafkaConsumer, switch: Switch) -> None:
        self._consumer = consumer
        self._switch = switch
        # Paused here, and by the user: the latter stay paused.
        self._ours: set[TopicPartition] = set()
        self._users: set[TopicPartition] = set()

    async def __aenter__(self) -> PausingAIOConsumer:
        await self._consumer.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._consumer.stop()

    def __aiter__(self) -> PausingAIOConsumer:
        return self

    async def __anext__(self) -> Any:
        try:
            return await self.getone()
        except ConsumerStoppedError:
            raise StopAsyncIteration from None

    async def getone(self, *partitions: TopicPartition) -> Any:
        """As the consumer's; waits while paused."""
        while self._turn():
            found = await self._consumer.getmany(*partitions, timeout_ms=int(SLICE * 1000), max_records=1)
            for records in found.values():
                return records[0]
        return await self._consumer.getone(*partitions)

    async def getmany(
        self, *partitions: TopicPartition, timeout_ms: int = 0, max_records: int | None = None
    ) -> dict[TopicPartition, list[Any]]:
        """As the consumer's; empty while paused."""
        loop = asyncio.get_running_loop()
        end = loop.time() + timeout_ms / 1000
        while True:
            paused = self._turn()
            left = max(0, round((end - loop.time()) * 1000))
            wait = min(left, int(SLICE * 1000)) if paused else left
            found: dict[TopicPartition, list[Any]] = await self._consumer.getmany(
                *partitions, timeout_ms=wait, max_records=max_records
            )
            if found or loop.time() >= end or not left:
                return found

    def _turn(self) -> bool:
        """Pauses or resumes if it is time, and says whether it is paused."""
        was, now = self._switch.paused, self._switch.look()
        assigned = self._consumer.assignment()
        if now:
            # Those that are new after a rebalance as well.
            self._pause(assigned - self._consumer.paused())
        elif was:
            ours, self._ours = self._ours, set()
            self._consumer.resume(*((ours & assigned) - self._users))
        self._users &= assigned
        return now

    def _pause(self, new: set[TopicPartition]) -> None:
        self._consumer.pause(*new)
        self._ours |= new

    def pause(self, *partitions: TopicPartition) -> None:
        """Pauses partitions until they are resumed by ``resume``: the source does not."""
        self._consumer.pause(*partitions)
        self._users.update(partitions)

    def resume(self, *partitions: TopicPartition) -> None:
        """Resumes partitions, once the source is not under pressure."""
        self._users.difference_update(partitions)
        if self._switch.paused:
            self._ours.update(partitions)
        else:
            self._consumer.resume(*partitions)

    def subscribe(
        self,
        topics: Any = (),
        pattern: str | Pattern[str] | None = None,
        listener: ConsumerRebalanceListener | None = None,
    ) -> None:
        """As the consumer's."""
        self._consumer.subscribe(topics=topics, pattern=pattern, listener=_Listener(self, listener))


class _Listener(ConsumerRebalanceListener, metaclass=ABCMeta):  # type: ignore[misc]
    """Pauses new partitions before anything is read from them, then asks the user's own."""

    def __init__(self, pausing: PausingAIOConsumer, users: ConsumerRebalanceListener | None) -> None:
        self._pausing = pausing
        self._users = users

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        self._pausing._ours -= revoked
        self._pausing._users -= revoked
        if self._users is not None:
            await _called(self._users.on_partitions_revoked(revoked))

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        if self._pausing._switch.paused:
            self._pausing._pause(assigned - self._pausing._consumer.paused())
        if self._users is not None:
            await _called(self._users.on_partitions_assigned(assigned))


async def _called(answer: Any) -> None:
    """What a listener's method gave, which may be a coroutine."""
    if inspect.isawaitable(answer):
        await answer
