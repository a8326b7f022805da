"""Consumers of confluent-kafka that pause by themselves: on librdkafka's mock, rebalances on a real broker."""

from __future__ import annotations

import logging
import math
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.metadata import requires
from types import SimpleNamespace
from typing import Any

import pytest
from brokers import Broker, from_start, poll_until, start_mock, text
from confluent_kafka import TopicPartition
from conftest import Thread, wait_until
from tidegate import BoundedQueue, CircuitBreaker, ConcurrencyLimiter, ConfigError, LoadShedder, ManualClock, Signal
from tidegate.kafka import Lag, pause_when

mock = pytest.fixture(scope="module", name="mock")(start_mock)


class Source:
    """Pressure as a test says."""

    def __init__(self, pressure: object = 0.0) -> None:
        self.pressure = pressure


def nothing_comes(consumer: Any, seconds: float = 0.3) -> None:
    message = consumer.poll(seconds)
    assert message is None, "a message while paused"


def test_a_queue_pauses_at_its_watermark_and_every_message_comes_once(mock: Broker) -> None:
    topic = mock.topic()
    mock.send(topic, range(200))
    orders: BoundedQueue[int] = BoundedQueue(50)
    done: list[int] = []
    deepest = 0
    with pause_when(mock.consumer(), orders, min_pause=0.01) as consumer:
        consumer.assign(from_start(topic, 0))
        while len(done) < 200:
            message = consumer.poll(0)
            if message is not None:
                assert orders.try_push(text(message)), "the queue was shut and a message came"
            deepest = max(deepest, orders.depth)
            if consumer.is_paused and orders.depth:
                done.extend(orders.try_pop() for _ in range(orders.depth))  # type: ignore[misc]
            elif sum((len(done), orders.depth)) == 200:
                done += orders.drain()
        assert consumer.pauses >= 4
    assert done == list(range(200)) and deepest == 40


def test_a_pause_lasts_its_time_and_the_group_is_polled_meanwhile(mock: Broker) -> None:
    topic, clock, source = mock.topic(), ManualClock(), Source(1.0)
    mock.send(topic, range(10))
    consumer = pause_when(mock.consumer(), source, min_pause=60, clock=clock)
    consumer.assign(from_start(topic, 0))
    nothing_comes(consumer)
    source.pressure = 0
    nothing_comes(consumer, 0.3)
    clock.advance(59.9)
    nothing_comes(consumer, 0.3)
    assert consumer.is_paused
    clock.advance(0.1)
    # The wait that is under way sees it, also one without an end.
    first = consumer.poll()
    assert first is not None and text(first) == 0 and not consumer.is_paused
    found = [text(first)]
    poll_until(consumer, lambda: len(found) == 10, lambda message: found.append(text(message)))
    assert found == list(range(10)) and consumer.pauses == 1
    consumer.close()


def test_a_wait_without_an_end_is_ended_by_the_source(mock: Broker) -> None:
    topic, calls = mock.topic(), []
    mock.send(topic, range(1))

    def busy() -> bool:
        calls.append(None)
        return len(calls) < 4

    consumer = pause_when(mock.consumer(), busy, min_pause=0)
    consumer.assign(from_start(topic, 0))
    message = consumer.poll()
    assert message is not None and len(calls) == 4
    consumer.close()


def test_a_shedder_that_nobody_else_asks_is_sampled(mock: Broker) -> None:
    topic, backlog = mock.topic(), [0.0]
    mock.send(topic, range(1))
    shedder = LoadShedder([Signal("gauge", lambda: backlog[0], start=0, full=10, name="backlog")])
    consumer = pause_when(mock.consumer(), shedder, min_pause=0)
    consumer.assign(from_start(topic, 0))
    assert not consumer.is_paused
    backlog[0] = 100.0

    def is_paused() -> bool:
        consumer.poll(0.05)
        return consumer.is_paused

    wait_until(is_paused)
    # Paused, there are no more messages.
    backlog[0] = 0.0
    wait_until(lambda: not is_paused())
    consumer.close()


def test_batches_pause_as_well(mock: Broker) -> None:
    topic, source = mock.topic(), Source()
    mock.send(topic, range(100))
    consumer = pause_when(mock.consumer(), source, min_pause=0)
    consumer.assign(from_start(topic, 0))
    found = [text(message) for message in consumer.consume(30, 10)]
    assert len(found) == 30
    source.pressure = 1.5
    assert consumer.consume(30, timeout=0.3) == []
    source.pressure = 0.7
    assert consumer.consume(30, timeout=0.3) == [] and consumer.is_paused, "it falls to `resume_at` first"
    source.pressure = 0.5
    while len(found) < 100:
        found += [text(message) for message in consumer.consume(10, 10)]
    assert found == list(range(100)) and consumer.pauses == 1
    consumer.close()


def test_what_the_user_paused_stays_paused(mock: Broker) -> None:
    topic, source = mock.topic(2), Source()
    mock.send(topic, range(20), 2)
    consumer = pause_when(mock.consumer(), source, min_pause=0)
    consumer.assign(from_start(topic, 0, 1))
    consumer.pause([TopicPartition(topic, 1)])
    source.pressure = 1
    nothing_comes(consumer)
    source.pressure = 0
    found: list[int] = []
    poll_until(consumer, lambda: len(found) == 10, lambda message: found.append(text(message)))
    nothing_comes(consumer)
    assert found == list(range(0, 20, 2))
    # Resumed by the user while the source pauses: not before the source lets it.
    source.pressure = 1
    nothing_comes(consumer, 0.1)
    consumer.resume([TopicPartition(topic, 1)])
    nothing_comes(consumer)
    source.pressure = 0
    poll_until(consumer, lambda: len(found) == 20, lambda message: found.append(text(message)))
    # And paused by the user while the source pauses.
    source.pressure = 1
    nothing_comes(consumer, 0.1)
    consumer.pause([TopicPartition(topic, 0)])
    source.pressure = 0
    mock.send(topic, range(20, 30), 2)
    poll_until(consumer, lambda: len(found) == 25, lambda message: found.append(text(message)))
    nothing_comes(consumer)
    assert found[20:] == list(range(21, 30, 2))
    consumer.resume([TopicPartition(topic, 0)])
    poll_until(consumer, lambda: len(found) == 30, lambda message: found.append(text(message)))
    consumer.close()


def test_partitions_that_are_assigned_by_hand_while_paused(mock: Broker) -> None:
    topic, source = mock.topic(3), Source(1)
    mock.send(topic, range(30), 3)
    consumer = pause_when(mock.consumer(), source, min_pause=0)
    consumer.assign(from_start(topic, 0))
    nothing_comes(consumer)
    consumer.assign(from_start(topic, 0, 1))
    nothing_comes(consumer)
    # Past it: seen at the next poll.
    consumer._consumer.assign(from_start(topic, 1, 2))
    nothing_comes(consumer)
    # What is taken away while paused and comes back later is not left paused.
    source.pressure = 0
    found: list[int] = []
    poll_until(consumer, lambda: len(found) == 20, lambda message: found.append(text(message)))
    assert not {value % 3 for value in found} & {0}
    consumer.unassign()
    nothing_comes(consumer, 0.1)
    consumer.assign(from_start(topic, 0))
    poll_until(consumer, lambda: len(found) == 30, lambda message: found.append(text(message)))
    consumer.close()


def test_others_may_commit_while_it_is_paused(kafka: Broker) -> None:
    """The client lets one thread in at a time, in no order: who polls for ever would keep it to himself."""
    topic = kafka.topic()
    kafka.send(topic, range(10))
    source = Source(1)
    consumer = pause_when(kafka.consumer(), source, min_pause=0)
    consumer.assign(from_start(topic, 0))
    reader = Thread(consumer.poll)
    wait_until(lambda: consumer.is_paused)
    for offset in range(1, 10):
        consumer.commit(offsets=[TopicPartition(topic, 0, offset)], asynchronous=False)
    assert consumer.committed([TopicPartition(topic, 0)])[0].offset == 9
    source.pressure = 0
    assert text(reader.finish()) == 0
    consumer.close()


@pytest.mark.parametrize("strategy", ["range", "cooperative-sticky"])
def test_a_rebalance_while_paused(kafka: Broker, strategy: str) -> None:
    """New partitions are paused before anything is read of them; those that were given away are not left paused."""
    topic, group, source = kafka.topic(4), f"{strategy}-{time.time_ns()}", Source()
    kafka.send(topic, range(400), 4)
    settings = {"group_id": group, "partition_assignment_strategy": strategy}
    found: list[int] = []
    held: set[int] = set()

    def own(_consumer: Any, partitions: list[TopicPartition]) -> None:
        held.update(each.partition for each in partitions)

    def lose(_consumer: Any, partitions: list[TopicPartition]) -> None:
        held.difference_update(each.partition for each in partitions)

    consumer = pause_when(kafka.consumer(**settings), source, min_pause=0)
    consumer.subscribe([topic], on_assign=own, on_revoke=lose)
    poll_until(consumer, lambda: len(found) >= 10, lambda message: found.append(text(message)))
    consumer.commit(asynchronous=False)
    assert held == {0, 1, 2, 3}
    source.pressure = 1
    other = kafka.consumer(**settings)
    other.subscribe([topic])
    while len(held) != 2 or len(other.assignment()) != 2:
        nothing_comes(consumer, 0.05)
        message = other.poll(0.05)
        if message is not None:
            found.append(text(message))
    nothing_comes(consumer)
    if len(found) > 10:
        other.commit(asynchronous=False)
    other.close()
    while len(held) != 4:
        nothing_comes(consumer, 0.05)
    nothing_comes(consumer)
    source.pressure = 0
    poll_until(consumer, lambda: len(found) >= 400, lambda message: found.append(text(message)))
    nothing_comes(consumer, 0.2)
    assert sorted(found) == list(range(400)), "none lost, none twice"
    consumer.close()


def test_given_away_while_paused_and_back_when_not(kafka: Broker) -> None:
    """librdkafka keeps a partition paused that comes back: it would be read by nobody ever again."""
    topic, group, source = kafka.topic(2), f"back-{time.time_ns()}", Source()
    kafka.send(topic, range(20), 2)
    found: list[int] = []
    take = lambda message: found.append(text(message))  # noqa: E731
    consumer = pause_when(kafka.consumer(group_id=group), source, min_pause=0)
    consumer.subscribe([topic])
    poll_until(consumer, lambda: len(found) == 20, take)
    consumer.commit(asynchronous=False)
    source.pressure = 1
    nothing_comes(consumer, 0.1)
    other = kafka.consumer(group_id=group)
    other.subscribe([topic])
    while len(other.assignment()) != 1:
        nothing_comes(consumer, 0.05)
        assert other.poll(0.05) is None
    source.pressure = 0
    nothing_comes(consumer, 0.1)
    assert not consumer.is_paused and len(consumer.assignment()) == 1
    other.close()
    kafka.send(topic, range(20, 40), 2)
    # Without another poll in between: the wait goes on through the rebalance.
    while {*found} != {*range(40)}:
        message = consumer.poll(10)
        assert message is not None, f"{found} came"
        take(message)
    consumer.close()


def test_a_callback_that_raises_or_assigns_by_itself(kafka: Broker) -> None:
    topic, source = kafka.topic(2), Source(1)
    kafka.send(topic, range(20), 2)

    def fails(_consumer: Any, _partitions: list[TopicPartition]) -> None:
        raise LookupError("on_assign failed")

    consumer = pause_when(kafka.consumer(), source, min_pause=0)
    consumer.subscribe([topic], on_assign=fails)
    with pytest.raises(LookupError, match="on_assign failed"):
        poll_until(consumer, lambda: False, lambda message: pytest.fail("a message while paused"))
    assert len(consumer.assignment()) == 2
    nothing_comes(consumer)
    consumer.close()

    def from_the_fifth(own: Any, partitions: list[TopicPartition]) -> None:
        assert own is consumer
        own.assign([TopicPartition(each.topic, each.partition, 5) for each in partitions])

    consumer = pause_when(kafka.consumer(), source, min_pause=0)
    consumer.subscribe([topic], on_assign=from_the_fifth)
    while len(consumer.assignment()) != 2:
        nothing_comes(consumer, 0.1)
    nothing_comes(consumer)
    source.pressure = 0
    found: list[int] = []
    poll_until(consumer, lambda: len(found) == 10, lambda message: found.append(text(message)))
    assert sorted(found) == list(range(10, 20)), "from the offsets of the callback"
    consumer.close()


def test_a_pattern_s_later_topics(kafka: Broker) -> None:
    prefix, source = f"pattern{time.time_ns()}", Source(1)
    first = kafka.topic(prefix=prefix)
    kafka.send(first, range(5))
    consumer = pause_when(kafka.consumer(topic_metadata_refresh_interval_ms=200), source, min_pause=0)
    consumer.subscribe([f"^{prefix}.*"])
    while len(consumer.assignment()) != 1:
        nothing_comes(consumer, 0.1)
    second = kafka.topic(prefix=prefix)
    kafka.send(second, range(5, 10))
    while len(consumer.assignment()) != 2:
        nothing_comes(consumer, 0.1)
    nothing_comes(consumer)
    source.pressure = 0
    found: list[int] = []
    poll_until(consumer, lambda: len(found) == 10, lambda message: found.append(text(message)))
    assert sorted(found) == list(range(10))
    consumer.close()


def test_a_source_that_fails_is_no_pressure_and_is_logged_once(mock: Broker, caplog: pytest.LogCaptureFixture) -> None:
    topic, answers = mock.topic(), iter([True, OSError("gone"), math.nan, "much", 0.0, OSError("again"), False])
    mock.send(topic, range(3))

    def source() -> Any:
        answer = next(answers, False)
        if isinstance(answer, Exception):
            raise answer
        return answer

    consumer = pause_when(mock.consumer(), source, min_pause=0)
    consumer.assign(from_start(topic, 0))
    with caplog.at_level(logging.WARNING, "tidegate"):
        found: list[int] = []
        poll_until(consumer, lambda: len(found) == 3, lambda message: found.append(text(message)))
        for _ in range(7):
            consumer.poll(0)
    assert consumer.pauses == 1
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [OSError, OSError]
    consumer.close()


def test_a_closed_consumer_says_so(mock: Broker) -> None:
    topic, source = mock.topic(), Source()
    for paused in (False, True):
        consumer = pause_when(mock.consumer(), source, min_pause=0)
        consumer.assign(from_start(topic, 0))
        source.pressure = float(paused)
        nothing_comes(consumer, 0.05)
        consumer.close()
        for call in (consumer.poll, consumer.consume, consumer.assignment, lambda: consumer.pause([])):
            with pytest.raises(RuntimeError, match="closed"):
                call()


def test_breakers_and_limiters_as_a_source(mock: Broker) -> None:
    topic, clock = mock.topic(), ManualClock(10**12)
    consumer = mock.consumer()
    bank = CircuitBreaker("bank", consecutive_failures=1, cooldown=30, clock=clock)
    pausing = pause_when(consumer, bank, min_pause=0)
    pausing.assign(from_start(topic, 0))
    nothing_comes(pausing, 0)
    assert not pausing.is_paused
    bank.acquire().failure()
    nothing_comes(pausing, 0)
    assert pausing.is_paused
    # Nobody else would call it: after its cooldown a message has to come for the probe.
    clock.advance(30)
    nothing_comes(pausing, 0)
    assert bank.state == "open" and not pausing.is_paused
    bank.force_open()
    nothing_comes(pausing, 0)
    assert pausing.is_paused

    renderers = ConcurrencyLimiter(4)
    pausing = pause_when(consumer, renderers, min_pause=0)
    seen = []
    permits = []
    for _ in range(4):
        permits.append(renderers.acquire())
        pausing.poll(0)
        seen.append(pausing.is_paused)
    for permit in permits:
        permit.release()
        pausing.poll(0)
        seen.append(pausing.is_paused)
    assert seen == [False, False, False, True, True, False, False, False]
    consumer.close()


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"min_pause": -1}, "min_pause"),
        ({"min_pause": math.inf}, "min_pause"),
        ({"min_pause": math.nan}, "min_pause"),
        ({"min_pause": None}, "min_pause"),
        ({"pause_at": math.nan}, "pause_at"),
        ({"resume_at": -0.1}, "resume_at"),
        ({"pause_at": 0.5, "resume_at": 0.6}, "resume_at: must be at most pause_at"),
        ({"source": 3}, "source: expected a BoundedQueue"),
        ({"pause_at": True}, "pause_at"),
        ({"clock": 1}, "clock"),
    ],
)
def test_wrong_arguments(mock: Broker, given: dict[str, Any], error: str) -> None:
    consumer = mock.consumer()
    with pytest.raises((ConfigError, TypeError), match=error):
        pause_when(consumer, given.pop("source", Source()), **given)
    consumer.close()


def test_other_consumers_are_refused(mock: Broker) -> None:
    for other in (object(), mock.producer, "orders"):
        with pytest.raises(TypeError, match="consumer: expected a confluent_kafka.Consumer or an aiokafka"):
            pause_when(other, Source())  # type: ignore[call-overload]


def test_lag_of_what_was_read(mock: Broker) -> None:
    topic, clock, source = mock.topic(2), ManualClock(), Source()
    mock.send(topic, range(100), 2)
    consumer = pause_when(mock.consumer(), source, min_pause=0)
    lag = Lag(consumer, every=5, clock=clock)
    assert lag.partitions == {} and lag() == 0 and lag.partitions == {}, "nothing is assigned"
    consumer.assign(from_start(topic, 0, 1))
    found: list[int] = []
    poll_until(consumer, lambda: len(found) == 30, lambda message: found.append(text(message)))
    assert lag() == 0, "an answer is good for `every` seconds"
    clock.advance(5)
    assert lag.last == 0, "who only looks asks nobody"
    assert lag() == 70 and sum(lag.partitions.values()) == 70 == lag.last
    # While it is paused as well, when nothing is fetched.
    source.pressure = 1
    nothing_comes(consumer, 0.1)
    mock.send(topic, range(100, 150), 2)
    lag.refresh()
    assert lag() == 120
    consumer.close()
    clock.advance(5)
    assert math.isnan(lag()) and lag.partitions == {}, "an old number would hide the trouble"
    assert math.isnan(lag.last)
    with pytest.raises(RuntimeError):
        lag.refresh()
    with pytest.raises(TypeError, match="lag.refresh()"):
        import asyncio

        asyncio.run(lag.refresh_async())


def test_lag_of_a_group_that_has_read_nothing_since(kafka: Broker) -> None:
    topic, group = kafka.topic(), f"lag-{time.time_ns()}"
    kafka.send(topic, range(100))
    consumer = kafka.consumer(group_id=group)
    consumer.assign([TopicPartition(topic, 0)])
    lag = Lag(consumer)
    lag.refresh()
    assert lag() == 100, "it has committed nothing"
    consumer.commit(offsets=[TopicPartition(topic, 0, 40)], asynchronous=False)
    lag.refresh()
    assert lag() == 60
    consumer.close()


def test_lag_of_other_things() -> None:
    with pytest.raises(TypeError, match="consumer: expected a consumer"):
        Lag(SimpleNamespace())
    with pytest.raises(ConfigError, match="every"):
        Lag(SimpleNamespace(get_watermark_offsets=None), every=0)
    assert math.isnan(Lag(SimpleNamespace(end_offsets=None), every=math.inf)())


def test_without_a_client() -> None:
    code = (
        "import importlib.util as u, sys; find = u.find_spec; import tidegate\n"
        "assert not {'confluent_kafka', 'aiokafka'} & {*sys.modules}\n"
        "u.find_spec = lambda name, *rest: None if 'kafka' in name and '.' not in name else find(name, *rest)\n"
        "try: import tidegate.kafka\n"
        "except ModuleNotFoundError as error: print(error)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "pip install 'tidegate[confluent-kafka]' or 'tidegate[aiokafka]'" in said


def test_the_wheel_needs_no_client() -> None:
    assert all("extra ==" in needed for needed in requires("tidegate") or ())

