"""A consumer of test_kafka_load.py: reads through a queue that pauses it, and writes down what it does.

    python kafka_worker.py CLIENT BROKER TOPIC GROUP

Lines: `+ partition time` assigned, `. partition offset time wait` done, `c partition offset time` committed.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
import time
from typing import Any

from tidegate import BoundedQueue, QueueClosedError
from tidegate.kafka import pause_when

CAPACITY = 500
# A commit so often.
EVERY = 200
client, broker, topic, group = sys.argv[1:]
orders: BoundedQueue[tuple[int, int, float]] = BoundedQueue(CAPACITY, sojourn=True)
lines: list[str] = []


def note(*words: object) -> None:
    lines.append(" ".join(map(str, words)))
    if len(lines) >= 100:
        tell()


def tell() -> None:
    text = "\n".join(lines)
    lines.clear()
    if text:
        print(text, flush=True)


def work(item: tuple[int, int, float], wait: float, uncommitted: dict[int, int]) -> None:
    """Slower than what is read, so that the queue fills."""
    partition, offset, _ = item
    end = time.monotonic() + 0.0001
    while time.monotonic() < end:
        pass
    uncommitted[partition] = offset + 1
    note(".", partition, offset, time.monotonic(), wait)


def confluent() -> None:
    from confluent_kafka import Consumer, KafkaException, TopicPartition

    settings = {
        "bootstrap.servers": broker,
        "group.id": group,
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
        "session.timeout.ms": 2_000,
        "heartbeat.interval.ms": 100,
        # A partition that was resumed is fetched at the next refresh, or a second later.
        "topic.metadata.refresh.interval.ms": 50,
        "log_level": 0,
    }
    consumer = pause_when(Consumer(settings), orders, min_pause=0.05)
    print("up", flush=True)

    # The thread that polls commits, for the client lets one thread in at a time.
    lock, uncommitted = threading.Lock(), dict[int, int]()
    count = 0

    def do() -> None:
        nonlocal count
        while True:
            found = orders.try_pop_timed()
            with lock:
                if found is None:
                    tell()
                else:
                    work(*found, uncommitted)
                    count += 1
            if found is None:
                time.sleep(0.005)

    def commit() -> None:
        nonlocal count
        with lock:
            if count < EVERY and orders.depth:
                return
            done, count = dict(uncommitted), 0
            uncommitted.clear()
            # Nothing is committed that nobody knows to be done, if this process is killed.
            tell()
        for partition, offset in done.items():
            # Of a partition that another has now.
            with contextlib.suppress(KafkaException):
                consumer.commit(offsets=[TopicPartition(topic, partition, offset)], asynchronous=False)
                with lock:
                    note("c", partition, offset, time.monotonic())

    def own(_consumer: Any, partitions: list[TopicPartition]) -> None:
        with lock:
            for each in partitions:
                note("+", each.partition, time.monotonic())
            tell()

    consumer.subscribe([topic], on_assign=own)
    threading.Thread(target=do, daemon=True).start()
    while True:
        message = consumer.poll(0.05)
        if message is not None and message.error() is None:
            orders.push((message.partition(), message.offset(), time.monotonic()))
        commit()


async def aio() -> None:
    from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
    from aiokafka.errors import CommitFailedError, IllegalStateError

    class Told(ConsumerRebalanceListener):  # type: ignore[misc]
        async def on_partitions_revoked(self, revoked: set[Any]) -> None:
            pass

        async def on_partitions_assigned(self, assigned: set[Any]) -> None:
            for each in assigned:
                note("+", each.partition, time.monotonic())

    made = AIOKafkaConsumer(
        bootstrap_servers=broker,
        group_id=group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        session_timeout_ms=2_000,
        heartbeat_interval_ms=200,
    )
    consumer = pause_when(made, orders, min_pause=0.05)
    print("up", flush=True)
    consumer.subscribe([topic], listener=Told())
    await consumer.start()

    async def commit(uncommitted: dict[int, int]) -> None:
        tell()
        for partition, offset in dict(uncommitted).items():
            with contextlib.suppress(CommitFailedError, IllegalStateError):
                await consumer.commit({TopicPartition(topic, partition): offset})
                note("c", partition, offset, time.monotonic())
        uncommitted.clear()

    async def do() -> None:
        uncommitted: dict[int, int] = {}
        count = 0
        while True:
            found = orders.try_pop_timed()
            if found is not None:
                work(*found, uncommitted)
                count += 1
            if uncommitted and (found is None or count % EVERY == 0):
                await commit(uncommitted)
            if found is None:
                tell()
                await asyncio.sleep(0.005)
            elif count % 20 == 0:
                await asyncio.sleep(0)

    worker = asyncio.create_task(do())
    with contextlib.suppress(QueueClosedError):
        while not worker.done():
            message = await consumer.getone()
            await orders.push_async((message.partition, message.offset, time.monotonic()))
    await worker


if client == "aiokafka":
    asyncio.run(aio())
else:
    confluent()
