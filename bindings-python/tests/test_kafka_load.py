"""Messages through pauses, a rebalance and a killed consumer, on a real broker: none is lost.

TIDEGATE_KAFKA_MESSAGES says how many (default 5,000; 100,000 take half a minute more).
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest
from brokers import Broker
from conftest import PATIENCE


MESSAGES = int(os.environ.get("TIDEGATE_KAFKA_MESSAGES", "5000"))
PARTITIONS = 4
# Of the queue in kafka_worker.py.
CAPACITY = 500


class Worker:
    """One of the consumers, and what it has said."""

    def __init__(self, *arguments: str) -> None:
        program = Path(__file__).parent / "kafka_worker.py"
        command = [sys.executable, str(program), *arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.assigned: dict[int, list[float]] = defaultdict(list)
        self.done: list[tuple[int, int, float, float]] = []
        self.committed: list[tuple[int, int, float]] = []
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            # A killed one may end within a line.
            kind, *words = line.split() if line.endswith("\n") else ["?"]
            if kind == "+":
                self.assigned[int(words[0])].append(float(words[1]))
            elif kind == ".":
                self.done.append((int(words[0]), int(words[1]), float(words[2]), float(words[3])))
            elif kind == "c":
                self.committed.append((int(words[0]), int(words[1]), float(words[2])))

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self.reader.join()
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.mark.parametrize("client", ["confluent-kafka", "aiokafka"])
def test_none_is_lost(kafka: Broker, client: str) -> None:
    topic, group = kafka.topic(PARTITIONS), uuid.uuid4().hex
    workers: list[Worker] = []
    sent = 0

    def start() -> Worker:
        workers.append(Worker(client, kafka.address, topic, group))
        return workers[-1]

    def count() -> int:
        return sum(len(each.done) for each in workers)

    def feed_until(condition: Callable[[], bool]) -> None:
        """There is always more to read, so that nobody is done before the next thing happens."""
        nonlocal sent
        while not condition():
            assert time.monotonic() < end, f"{count()} of {sent} were done"
            if sent - count() < 4 * CAPACITY:
                kafka.send(topic, range(sent, sent + 1_000), PARTITIONS)
                sent += 1_000
            time.sleep(0.01)

    end = time.monotonic() + 2 * PATIENCE + MESSAGES / 500
    try:
        first = start()
        feed_until(lambda: count() >= MESSAGES // 5)
        second = start()
        # The rebalance.
        feed_until(lambda: len(second.assigned) == PARTITIONS // 2 and len(second.done) > MESSAGES // 10)
        first.kill()
        feed_until(lambda: set(second.assigned) == {*range(PARTITIONS)} and sent >= MESSAGES)
        everything = {(n % PARTITIONS, n // PARTITIONS) for n in range(sent)}
        while {done[:2] for each in workers for done in list(each.done)} != everything:
            assert time.monotonic() < end, f"{count()} of {sent} were done"
            time.sleep(0.1)
    finally:
        for each in workers:
            each.kill()

    # What is done again was not committed before its reader was given the partition.
    again = 0
    seen: set[tuple[int, int]] = set()
    everyone = [(done[2], done[0], done[1], each) for each in workers for done in each.done]
    everyone.sort(key=lambda done: done[0])
    for at, partition, offset, worker in everyone:
        if (partition, offset) in seen:
            again += 1
            given = max(when for when in worker.assigned[partition] if when <= at)
            known = [c[1] for each in workers for c in each.committed if c[0] == partition and c[2] < given]
            assert offset >= max(known, default=0), "committed, and done again"
        seen.add((partition, offset))

    # No message waits for more than a full queue of others: it came after the one that many before it had left.
    waits, beyond = [], []
    for each in workers:
        times = [done[2] for done in each.done]
        for index, done in enumerate(each.done):
            waits.append(done[3])
            before = times[index - CAPACITY] if index >= CAPACITY else 0.0
            beyond.append(before - (done[2] - done[3]))
    p99, p99_beyond = (sorted(each)[len(waits) * 99 // 100] for each in (waits, beyond))
    assert p99_beyond <= 0.05, "they were in a queue of more than its capacity"
    print(f"{client}: {sent} messages, {again} done again, queue wait p99 {p99 * 1000:.0f} ms")
