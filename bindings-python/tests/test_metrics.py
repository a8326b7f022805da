"""Figures: the page, and the registries of prometheus_client and OpenTelemetry."""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import Any

import pytest
from fastapi import FastAPI
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_families
from prometheus_client.parser import text_string_to_metric_families as families
from served import ask, served
from tidegate import (
    BoundedQueue,
    BreakerRegistry,
    CircuitBreaker,
    ClientThrottle,
    ConcurrencyLimiter,
    Gate,
    ConfigError,
    LimitSet,
    LoadShedder,
    RateLimiter,
    RetryBudget,
    TokenBucket,
)
from tidegate.metrics import Metrics
from tidegate.opentelemetry import instrument
from tidegate.prometheus import TidegateCollector


def everything() -> Metrics:
    metrics = Metrics()
    bucket = TokenBucket("1/hour")
    assert [bucket.try_acquire(), bucket.try_acquire()] == [True, False]
    metrics.add(bucket, name="everyone")
    metrics.add(RateLimiter("1/hour"), name="client")
    metrics.add(ConcurrencyLimiter(2), name="database")
    breaker = CircuitBreaker("payment")
    breaker.force_open()
    metrics.add(breaker)
    metrics.add(BreakerRegistry(), name="hosts")
    metrics.add(RetryBudget(), name="payment")
    metrics.add(ClientThrottle(), name="payment")
    metrics.add(LoadShedder(["loop_lag"]), name="main")
    queue: BoundedQueue[int] = BoundedQueue(2)
    queue.try_push(1)
    metrics.add(queue, name='a "quoted" \\ name\n')
    gate = Gate("orders", concurrency=ConcurrencyLimiter(1))
    held = gate.admit()
    assert not gate.admit() and held.finish()
    metrics.add(gate)
    return metrics


def value(page: Any, series: str, **labels: str) -> float:
    found = [sample.value for family in page for sample in family.samples if sample.name == series
             and labels.items() <= sample.labels.items()]  # fmt: skip
    assert len(found) == 1, (series, labels, found)
    return float(found[0])


@pytest.mark.parametrize(("format", "parse"), [("prometheus", families), ("openmetrics", open_families)])
def test_the_page_is_what_prometheus_reads(format: Any, parse: Any) -> None:
    page = list(parse(everything().render(format)))
    decided = {"kind": "token_bucket", "name": "everyone", "scope": "process"}
    assert value(page, "tidegate_decisions_total", decision="admitted", **decided) == 1
    assert value(page, "tidegate_decisions_total", decision="denied", **decided) == 1
    orders = {"kind": "gate", "name": "orders"}
    assert [value(page, "tidegate_decisions_total", decision=it, **orders) for it in ("admitted", "denied")] == [1, 1]
    assert value(page, "tidegate_gate_denied_total", name="orders", part="concurrency") == 1
    assert value(page, "tidegate_breaker_state", name="payment", state="forced_open") == 1
    assert value(page, "tidegate_queue_depth", queue='a "quoted" \\ name\n') == 1
    assert value(page, "tidegate_pressure", name="main", signal="loop_lag") == 0


def test_promtool_finds_nothing_to_say() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("no promtool (Debian: apt-get install prometheus)")
    page = everything().render()
    checked = subprocess.run([promtool, "check", "metrics"], input=page, text=True, capture_output=True, timeout=30)
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


def test_prometheus_client_tells_the_same() -> None:
    metrics, registry = everything(), CollectorRegistry()
    registry.register(TidegateCollector(metrics))
    got = registry.get_sample_value(
        "tidegate_decisions_total",
        {"scope": "process", "kind": "token_bucket", "name": "everyone", "decision": "admitted"},
    )
    assert got == 1
    told = {family.name for family in registry.collect()}
    assert told == {family["name"] for family in metrics.families()}
    with pytest.raises(TypeError, match="metrics: expected a tidegate.metrics.Metrics"):
        TidegateCollector(registry)  # type: ignore[arg-type]


def test_opentelemetry_observes_the_same() -> None:
    metrics, reader = everything(), InMemoryMetricReader()
    instrument(metrics, MeterProvider(metric_readers=[reader]).get_meter("orders"))
    data = reader.get_metrics_data()
    assert data is not None
    told = {it.name: it for it in data.resource_metrics[0].scope_metrics[0].metrics}
    assert {name.replace("tidegate.", "tidegate_", 1) for name in told} == {it["name"] for it in metrics.families()}
    points = told["tidegate.decisions"].data.data_points
    admitted = [it.value for it in points if it.attributes["name"] == "everyone"
                and it.attributes["decision"] == "admitted"]  # fmt: skip
    assert admitted == [1]


WORKER = """
import sys
from tidegate import TokenBucket
bucket = TokenBucket("1000000/hour", scope=sys.argv[1], name="everyone")
for _ in range(int(sys.argv[2])): bucket.try_acquire()
"""


def test_any_worker_tells_of_the_whole_host(host: str) -> None:
    """Two processes count and die; a third, which opened no limit itself, has the sum."""
    for count in (300, 700):
        subprocess.run([sys.executable, "-c", WORKER, host, str(count)], check=True, timeout=60)
    metrics = Metrics(scope=host)
    bucket = TokenBucket("1000000/hour", scope=host, name="everyone")
    metrics.add(bucket, name="another name")
    page = list(families(metrics.render()))
    assert value(page, "tidegate_decisions_total", decision="admitted", name="everyone", scope=host) == 1_000


@pytest.mark.parametrize("name", ["", "a\ud800"])
def test_a_name_that_would_spoil_the_page_is_refused(name: str) -> None:
    metrics = Metrics()
    with pytest.raises(ConfigError, match="name: expected a text that UTF-8 can say"):
        metrics.add(TokenBucket("1/s"), name=name)
    assert metrics.render() == Metrics().render()


def test_the_application_answers_in_the_format_that_is_asked_for() -> None:
    app = FastAPI()
    app.mount("/metrics", everything())
    asked = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.2"
    with served(app) as url:
        [plain] = ask(url, "/metrics/")
        [open_text] = ask(url, "/metrics/", headers={"Accept": asked})
        [head] = ask(url, "/metrics/", method="HEAD")
        [post] = ask(url, "/metrics/", method="POST")
    assert (plain.status, plain.headers["Content-Type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    assert list(families(plain.body.decode())) and plain.headers["Cache-Control"] == "no-store"
    assert open_text.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    assert list(open_families(open_text.body.decode()))
    assert (head.status, head.body, head.headers["Content-Length"]) == (200, b"", str(len(plain.body)))
    assert (post.status, post.headers["Allow"]) == (405, "GET, HEAD")


def test_names_and_kinds_are_checked_when_they_are_added() -> None:
    metrics = Metrics()
    with pytest.raises(ConfigError, match="name: this token_bucket has none for its label; give it one"):
        metrics.add(TokenBucket("1/s"))
    bucket = TokenBucket("1/s")
    metrics.add(bucket, name="orders")
    metrics.add(bucket, name="orders")
    metrics.add(RateLimiter("1/s"), name="orders")
    with pytest.raises(ConfigError, match="name: 'orders' is the name of another token_bucket here"):
        metrics.add(TokenBucket("1/s"), name="orders")
    for wrong in (LimitSet(user=RateLimiter("1/s")), None, "orders", TokenBucket):
        with pytest.raises(TypeError, match="object: expected a TokenBucket, RateLimiter"):
            metrics.add(wrong)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="name: expected a str, got int"):
        metrics.add(TokenBucket("1/s"), name=3)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match='format: "xml" is none of'):
        metrics.render("xml")  # type: ignore[arg-type]
    assert repr(metrics) == "Metrics(token_bucket 'orders', rate_limiter 'orders')"


def test_keys_make_no_series() -> None:
    limiter, metrics = RateLimiter("5/s"), Metrics()
    metrics.add(limiter, name="client")
    before = metrics.render().count("\n")
    for key in range(100_000):
        limiter.try_acquire(str(key))
    assert metrics.render().count("\n") == before
