"""tidegate's figures as observable instruments of OpenTelemetry.

    instrument(metrics)                                 # with the global meter provider

Names are those of Prometheus with dots (``tidegate.decisions``): there are no semantic conventions for them yet.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable

from opentelemetry.metrics import CallbackOptions, Meter, Observation, get_meter

from ._tidegate import __version__
from ._tidegate import metrics_families as _families
from .metrics import Family, Metrics

__all__ = ["instrument"]

# One collection asks each instrument in turn: what it read first serves the others.
_FRESH_S = 0.1


class _Collection:
    """The values of one collection, by family."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._lock = threading.Lock()
        self._read_at = -1e9
        self._families: dict[str, Family] = {}

    def of(self, name: str) -> Iterable[Observation]:
        with self._lock:
            if time.monotonic() - self._read_at > _FRESH_S:
                self._families = {family["name"]: family for family in self._metrics.families()}
                self._read_at = time.monotonic()
            family = self._families.get(name)
        samples = [] if family is None else family["samples"]
        return [Observation(sample["value"], sample["labels"]) for sample in samples]


def instrument(metrics: Metrics, meter: Meter | None = None) -> None:
    """Makes an observable counter or gauge of each family of ``metrics``.

    Args:
        metrics: what is to be told of; objects may be added later.
        meter: whose instruments they are; default: the global provider's meter ``tidegate``.
    """
    if not isinstance(metrics, Metrics):
        raise TypeError(f"metrics: expected a tidegate.metrics.Metrics, got {type(metrics).__name__}")
    told = get_meter("tidegate", __version__) if meter is None else meter
    collection = _Collection(metrics)

    def callback(name: str) -> Callable[[CallbackOptions], Iterable[Observation]]:
        return lambda _: collection.of(name)

    for name, kind, text in _families():
        make = told.create_observable_counter if kind == "counter" else told.create_observable_gauge
        make(name.replace("tidegate_", "tidegate.", 1), callbacks=[callback(name)], description=text)
