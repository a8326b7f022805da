"""Consumers of aiokafka that pause by themselves, on a real broker."""

from __future__ import annotations

import asyncio
import math
import time
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from brokers import Broker
from conftest import PATIENCE, run
from tidegate import BoundedQueue
from tidegate.kafka import Lag, pause_when



class Source:
    """Pressure as a test says."""

    def __init__(self, pressure: object = 0.0) -> None:
        self.pressure = pressure


def made(broker: Broker, *topics: str, group: str | None = None) -> AIOKafkaConsumer:
    return AIOKafkaConsumer(
        *topics,
        bootstrap_servers=broker.address,
        group_id=group or f"aio-{time.time_ns()}",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        heartbeat_interval_ms=100,
        metadata_max_age_ms=200,
    )


async def nothing_comes(consumer: Any, timeout_ms: int = 300) -> None:
    assert await consumer.getmany(timeout_ms=timeout_ms) == {}, "a message while paused"


def values(found: dict[Any, list[Any]]) -> list[int]:
    return [int(each.value) for records in found.values() for each in records]


def test_a_queue_pauses_at_its_watermark_and_every_message_comes_once(kafka: Broker) -> None:
    topic = kafka.topic()
    kafka.send(topic, range(500))

    async def scene() -> None:
        orders: BoundedQueue[int] = BoundedQueue(50)
        done: list[int] = []

        async def work() -> None:
            async for order in orders:
                done.append(order)
                # Slower than what is read.
                await asyncio.sleep(0.001)

        worker = asyncio.create_task(work())
        # The topic of its constructor as well.
        async with pause_when(made(kafka, topic), orders, min_pause=0.01) as consumer:
            count = 0
            async for message in consumer:
                assert orders.try_push(int(message.value)), "the queue was shut and a message came"
                count += 1
                if count == 500:
                    break
            assert consumer.pauses > 5
        orders.close()
        await worker
        assert done == list(range(500))

    run(scene())


def test_user_pauses_and_cancelled_reads(kafka: Broker) -> None:
    topic = kafka.topic(2)
    kafka.send(topic, range(20), 2)

    async def scene() -> None:
        source, found = Source(1), []
        consumer = pause_when(made(kafka), source, min_pause=0)
        consumer.subscribe([topic])
        one, two = TopicPartition(topic, 0), TopicPartition(topic, 1)
        await consumer.start()
        try:
            while len(consumer.assignment()) < 2:
                await nothing_comes(consumer, 50)
            await nothing_comes(consumer)
            consumer.pause(two)
            for _ in range(3):
                with pytest.raises(asyncio.TimeoutError):
                    await asyncio.wait_for(consumer.getone(), 0.15)
            source.pressure = 0
            found += values(await consumer.getmany(timeout_ms=5_000))
            while len(found) < 10:
                found.append(int((await consumer.getone()).value))
            await nothing_comes(consumer)
            assert sorted(found) == list(range(0, 20, 2))
            source.pressure = 1
            await nothing_comes(consumer, 50)
            consumer.pause(one)
            consumer.resume(two)
            await nothing_comes(consumer)
            source.pressure = 0
            while len(found) < 20:
                found.append(int((await consumer.getone()).value))
            assert consumer.paused() == {one}
        finally:
            await consumer.stop()
        assert sorted(found) == list(range(20)) and consumer.pauses == 2

    run(scene())


@pytest.mark.parametrize("is_coroutine", [True, False])
def test_a_rebalance_while_paused(kafka: Broker, is_coroutine: bool) -> None:
    topic, group = kafka.topic(4), f"aio-{time.time_ns()}"
    kafka.send(topic, range(400), 4)

    class Told(ConsumerRebalanceListener):  # type: ignore[misc]
        held: set[Any] = set()  # noqa: RUF012

        def on_partitions_revoked(self, revoked: set[Any]) -> Any:
            Told.held -= revoked
            return asyncio.sleep(0) if is_coroutine else None

        def on_partitions_assigned(self, assigned: set[Any]) -> Any:
            Told.held |= assigned
            return asyncio.sleep(0) if is_coroutine else None

    async def scene() -> None:
        source = Source()
        consumer = pause_when(made(kafka, group=group), source, min_pause=0)
        consumer.subscribe([topic], listener=Told())
        await consumer.start()
        found = values(await consumer.getmany(timeout_ms=10_000, max_records=10))
        await consumer.commit()
        source.pressure = 1
        await nothing_comes(consumer, 50)
        assert len(Told.held) == 4
        # It reads nothing: what it is given must be read by the first afterwards.
        other = made(kafka, topic, group=group)
        await other.start()
        while len(consumer.assignment()) != 2:
            await nothing_comes(consumer, 50)
        await nothing_comes(consumer)
        await other.stop()
        while len(consumer.assignment()) != 4:
            await nothing_comes(consumer, 50)
        await nothing_comes(consumer)
        assert len(Told.held) == 4
        source.pressure = 0
        while len(found) < 400:
            found += values(await consumer.getmany(timeout_ms=1_000))
        await consumer.stop()
        assert sorted(found) == list(range(400))

    run(scene())


def test_a_pattern_s_later_topics(kafka: Broker) -> None:
    prefix = f"aio{time.time_ns()}"
    kafka.send(kafka.topic(prefix=prefix), range(5))

    async def scene() -> None:
        source = Source(1)
        consumer = pause_when(made(kafka), source, min_pause=0)
        consumer.subscribe(pattern=f"^{prefix}.*")
        async with consumer:
            while len(consumer.assignment()) != 1:
                await nothing_comes(consumer, 50)
            kafka.send(kafka.topic(prefix=prefix), range(5, 10))
            while len(consumer.assignment()) != 2:
                await nothing_comes(consumer, 50)
            await nothing_comes(consumer)
            source.pressure = 0
            found: list[int] = []
            while len(found) < 10:
                found += values(await consumer.getmany(timeout_ms=1_000))
            assert sorted(found) == list(range(10))

    run(scene())


def test_a_stopped_consumer_ends_the_loop(kafka: Broker) -> None:
    async def scene() -> None:
        for pressure in (0, 1):
            consumer = pause_when(made(kafka, kafka.topic()), Source(pressure))
            await consumer.start()
            reading = asyncio.create_task(_all(consumer))
            await asyncio.sleep(0.05)
            await consumer.stop()
            assert await reading == []

    run(scene())


async def _all(consumer: Any) -> list[Any]:
    return [message async for message in consumer]


def test_lag_of_what_was_read(kafka: Broker) -> None:
    topic = kafka.topic(2)
    kafka.send(topic, range(100), 2)

    async def scene() -> None:
        source = Source()
        consumer = pause_when(made(kafka, topic), source, min_pause=0)
        lag = Lag(consumer)
        assert math.isnan(lag())
        async with consumer:
            found = values(await consumer.getmany(timeout_ms=10_000, max_records=30))
            source.pressure = 1
            await nothing_comes(consumer, 50)
            kafka.send(topic, range(100, 150), 2)
            await lag.refresh_async()
            assert lag() == 150 - len(found) == sum(lag.partitions.values())
            with pytest.raises(TypeError, match="await lag.refresh_async"):
                lag.refresh()

        async def never(_partitions: object) -> None:
            await asyncio.sleep(PATIENCE)

        short = Lag(SimpleNamespace(end_offsets=never, assignment=set), timeout=0.05)
        with pytest.raises(asyncio.TimeoutError):
            await short.refresh_async()
        assert math.isnan(short())

    run(scene())
