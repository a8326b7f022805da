"""Consumers of Kafka that pause while what is behind them is full, for confluent-kafka and aiokafka.

    orders = BoundedQueue(1_000)
    consumer = pause_when(Consumer(config), orders)
    consumer.subscribe(["orders"])
    while running:
        message = consumer.poll(1.0)
        if message is not None and message.error() is None:
            orders.push(message)
"""

from __future__ import annotations

import sys
from datetime import timedelta
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, overload

from ._lag import Lag
from ._pausing import Switch
from ._tidegate import ManualClock

if TYPE_CHECKING:
    from aiokafka import AIOKafkaConsumer as _AIOKafkaConsumer
    from confluent_kafka import Consumer

    from ._aiokafka import PausingAIOConsumer
    from ._confluent import PausingConsumer

__all__ = ["Lag", "pause_when"]

if find_spec("confluent_kafka") is None and find_spec("aiokafka") is None:
    raise ModuleNotFoundError(
        "tidegate.kafka needs a client of Kafka: pip install 'tidegate[confluent-kafka]' or 'tidegate[aiokafka]'",
        name="confluent_kafka",
    )


@overload
def pause_when(
    consumer: Consumer,
    source: object,
    min_pause: float | timedelta = ...,
    *,
    pause_at: float = ...,
    resume_at: float = ...,
    clock: ManualClock | None = ...,
) -> PausingConsumer: ...
@overload
def pause_when(
    consumer: _AIOKafkaConsumer,
    source: object,
    min_pause: float | timedelta = ...,
    *,
    pause_at: float = ...,
    resume_at: float = ...,
    clock: ManualClock | None = ...,
) -> PausingAIOConsumer: ...
def pause_when(
    consumer: Any,
    source: object,
    min_pause: float | timedelta = 2.0,
    *,
    pause_at: float = 1.0,
    resume_at: float = 0.5,
    clock: ManualClock | None = None,
) -> Any:
    """The consumer, which pauses all its partitions while ``source`` is under pressure.

    Args:
        consumer: a ``confluent_kafka.Consumer`` or an ``aiokafka.AIOKafkaConsumer`` that is not subscribed yet.
        source: a BoundedQueue (paused while it accepts nothing), a CircuitBreaker (while it is open), a
            ConcurrencyLimiter (by the part of its limit in use), an object with ``pressure``, or a function that gives
            a number or a bool.
        min_pause: the least pause in seconds. A pause throws away what was fetched ahead.
        pause_at: the number of a source from which on it is paused.
        resume_at: the number down to which it must fall again.
    """
    switch = Switch(source, min_pause, pause_at, resume_at, clock)
    # Whose consumer it is, its module has been imported.
    confluent, aio = sys.modules.get("confluent_kafka"), sys.modules.get("aiokafka")
    if confluent is not None and isinstance(consumer, confluent.Consumer):
        from ._confluent import PausingConsumer

        return PausingConsumer(consumer, switch)
    if aio is not None and isinstance(consumer, aio.AIOKafkaConsumer):
        from ._aiokafka import PausingAIOConsumer

        return PausingAIOConsumer(consumer, switch)
    raise TypeError(
        "consumer: expected a confluent_kafka.Consumer or an aiokafka.AIOKafkaConsumer, got "
        f"{type(consumer).__module__}.{type(consumer).__qualname__}"
    )
