"""Brokers of Kafka: librdkafka's own mock, and a real one of tests/kafka/broker."""

from __future__ import annotations

import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from conftest import PATIENCE

PROGRAM = Path(__file__).resolve().parents[2] / "tests" / "kafka" / "broker"


# What a client waits for by itself, up to a second each time. A partition that was resumed is fetched at the next
# refresh of the metadata, or a second later.
QUICK = {
    "topic.metadata.refresh.interval.ms": 50,
    "fetch.wait.max.ms": 20,
    "fetch.error.backoff.ms": 10,
    "fetch.queue.backoff.ms": 10,
    "retry.backoff.ms": 10,
    "topic.metadata.refresh.fast.interval.ms": 20,
}


class Broker:
    """One that answers at ``address``; it says nothing in the log."""

    def __init__(self, address: str, is_mock: bool = False) -> None:
        self.address = address
        self.is_mock = is_mock
        self.producer = Producer({"bootstrap.servers": address, "log_level": 0})

    def topic(self, partitions: int = 1, prefix: str = "orders") -> str:
        name = f"{prefix}-{uuid.uuid4().hex[:8]}"
        if self.is_mock:
            # It makes topics, of four partitions, when they are written to.
            return name
        admin = AdminClient({"bootstrap.servers": self.address, "log_level": 0})
        for made in admin.create_topics([NewTopic(name, partitions, 1)]).values():
            made.result(PATIENCE)
        return name

    def send(self, topic: str, values: range, partitions: int = 1) -> None:
        """Each value as its text, to the partitions in turn."""
        for value in values:
            self.producer.produce(topic, str(value).encode(), partition=value % partitions)
            if value % 10_000 == 9_999:
                assert self.producer.flush(PATIENCE) == 0
        assert self.producer.flush(PATIENCE) == 0

    def consumer(self, **settings: object) -> Consumer:
        given = {name.replace("_", "."): value for name, value in settings.items()}
        return Consumer(
            {
                "bootstrap.servers": self.address,
                "group.id": uuid.uuid4().hex,
                "auto.offset.reset": "earliest",
                "enable.auto.commit": False,
                "log_level": 0,
                # So that a rebalance is known within it.
                "heartbeat.interval.ms": 100,
                **QUICK,
                **given,
            }
        )


def start_broker() -> Iterator[Broker]:
    process = subprocess.Popen(
        [PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdin and process.stdout and process.stderr
    try:
        said, _, about = process.stdout.readline().strip().partition(" ")
        if said == "SKIP":
            pytest.skip(f"no Kafka broker: {about}")
        assert said == "READY", process.stderr.read()
        yield Broker(about)
    finally:
        process.stdin.close()
        process.wait(PATIENCE)
        process.stdout.close()
        process.stderr.close()


def start_mock() -> Iterator[Broker]:
    cluster = Producer({"bootstrap.servers": "none", "test.mock.num.brokers": 1, "log_level": 0})
    (broker,) = cluster.list_topics(timeout=PATIENCE).brokers.values()
    yield Broker(f"{broker.host}:{broker.port}", is_mock=True)


def from_start(topic: str, *partitions: int) -> list[TopicPartition]:
    return [TopicPartition(topic, partition, 0) for partition in partitions]


def poll_until(consumer: Any, condition: Callable[[], object], take: Callable[[Message], object]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "the condition never came true"
        message = consumer.poll(0.05)
        if message is not None:
            assert message.error() is None, message.error()
            take(message)


def text(message: Message) -> int:
    value = message.value()
    assert value is not None
    return int(value)
