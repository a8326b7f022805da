"""tidegate's figures in a registry of ``prometheus_client``.

    prometheus_client.REGISTRY.register(TidegateCollector(metrics))

Its multiprocess directory is not needed: what lives in a scope of the host has one count for all processes.
"""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from .metrics import Metrics

__all__ = ["TidegateCollector"]


class TidegateCollector(Collector):
    """Tells a registry what a ``Metrics`` reads, at each scrape.

    Args:
        metrics: what is to be told of.
    """

    def __init__(self, metrics: Metrics) -> None:
        if not isinstance(metrics, Metrics):
            raise TypeError(f"metrics: expected a tidegate.metrics.Metrics, got {type(metrics).__name__}")
        self._metrics = metrics

    def describe(self) -> Iterable[Metric]:
        """Nothing: registering reads no object."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """The families of this moment."""
        for family in self._metrics.families():
            kind = CounterMetricFamily if family["type"] == "counter" else GaugeMetricFamily
            names = list(family["samples"][0]["labels"])
            told = kind(family["name"], family["help"], labels=names)
            for sample in family["samples"]:
                told.add_metric([sample["labels"][name] for name in names], sample["value"])
            yield told
