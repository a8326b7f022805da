"""A rate for many machines: two arenas are two machines, each with an agent of its own, and a real redis-server."""

from __future__ import annotations

import os
import pickle
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import wait_until
from fastapi import FastAPI
from served import ask, served, statuses
from tidegate import ArenaError, ClusterLimit, ConfigError, HostScope, RateLimiter, TokenBucket
from tidegate.asgi import TidegateMiddleware
from tidegate.metrics import Metrics

ROOT = Path(__file__).parents[2]
RATE, BURST = 500, 250


def agent_program() -> str | None:
    built = [ROOT / "target" / profile / "tidegate-agent" for profile in ("release", "debug")]
    return next((str(one) for one in built if one.exists()), shutil.which("tidegate-agent"))


@contextmanager
def running(*words: str, env: dict[str, str] | None = None) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        words, env={**os.environ, **(env or {})}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait(30)


@pytest.fixture(scope="module")
def store() -> Iterator[str]:
    if shutil.which("redis-server") is None:
        pytest.skip("no redis-server here (apt install redis-server)")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with running("redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", ""):

        def answers() -> bool:
            with socket.socket() as client:
                return client.connect_ex(("127.0.0.1", port)) == 0

        wait_until(answers)
        yield f"redis://127.0.0.1:{port}/"


@contextmanager
def agent(store: str, machine: Path, arena: str) -> Iterator[subprocess.Popen[bytes]]:
    program = agent_program()
    if program is None:
        pytest.skip("no tidegate-agent here (cargo build -p tidegate-cluster)")
    words = (program, "--path", str(machine), "--arena", arena)
    with running(*words, env={"TIDEGATE_STORE": store}) as process:
        yield process


def machine(at: Path, arena: str, name: str = "door", **more: object) -> ClusterLimit:
    scope = HostScope(arena, path=at, capacity=1 << 20)
    return ClusterLimit(f"{RATE}/s", burst=BURST, scope=scope, name=name, enabled=True, **more)


def meter(moments: list[float]) -> float:
    """Every window holds at most burst + rate × window if and only if this never stands above the burst."""
    level = last = worst = 0.0
    for moment in sorted(moments):
        level = max(0.0, level - RATE * (moment - last)) + 1
        last, worst = moment, max(worst, level)
    return worst


WORKER = """
import sys, time
from tidegate import ClusterLimit, HostScope
scope = HostScope(sys.argv[2], path=sys.argv[1])
door = ClusterLimit(f"{sys.argv[3]}/s", burst=int(sys.argv[4]), scope=scope, name="door", enabled=True)
end = time.monotonic() + float(sys.argv[5])
while time.monotonic() < end:
    for _ in range(4):
        at = time.monotonic()
        if door.try_acquire():
            print(at)
    time.sleep(0.002)
"""


def test_two_machines_of_two_processes_obey_one_limit_while_an_agent_is_killed(store: str, tmp_path: Path) -> None:
    machines = [tmp_path / "one", tmp_path / "two"]
    limits = [machine(at, "orders") for at in machines]
    with agent(store, machines[0], "orders") as first, agent(store, machines[1], "orders"):
        wait_until(lambda: all(limit.stats().tokens > 0 for limit in limits))
        words = ["orders", str(RATE), str(BURST), "4"]
        workers = [
            subprocess.Popen([sys.executable, "-c", WORKER, str(at), *words], stdout=subprocess.PIPE, text=True)
            for at in machines * 2
        ]
        time.sleep(1.5)
        first.kill()
        with agent(store, machines[0], "orders"):
            moments = [float(line) for worker in workers for line in worker.communicate(timeout=60)[0].split()]
    assert meter(moments) <= BURST + 1
    assert len(moments) > RATE, "they admit"
    stats = limits[0].stats()
    assert stats.admitted > 0 and stats.granted >= stats.admitted and stats.epochs >= 1
    assert pickle.loads(pickle.dumps(stats)) == stats


def test_without_an_agent_it_denies_and_says_why(tmp_path: Path) -> None:
    limit = machine(tmp_path / "arenas", "orders")
    denied = limit.check()
    assert not denied and denied.limit == BURST and 0 < denied.retry_after < 1
    assert limit.check(BURST).retry_after == float("inf"), "more than is ever leased"
    stats = limit.stats()
    assert (stats.refilled, stats.tokens, stats.denied) == (False, 0, 2)
    assert stats.fault is not None and "tidegate agent --arena orders" in stats.fault
    assert "tidegate agent" in repr(limit) and re.fullmatch("[0-9a-f]{32}", limit.member_id)
    watching = machine(tmp_path / "arenas", "orders", dry_run=True)
    assert watching.try_acquire() and watching.stats().would_deny == 1


def test_a_middleware_refuses_what_no_machine_has(store: str, tmp_path: Path) -> None:
    at = tmp_path / "arenas"
    scope = HostScope("web", path=at, capacity=1 << 20)
    limit = ClusterLimit("4/minute", burst=4, scope=scope, name="door", enabled=True)
    page = Metrics(scope=scope)

    app = FastAPI()
    app.add_middleware(TidegateMiddleware, limit=limit)
    with served(app) as url:
        assert statuses(ask(url, "/")) == [429]
        # Empty at first: it fills at its rate.
        with agent(store, at, "web"):
            wait_until(lambda: limit.stats().refilled and limit.stats().fault is None)
            refused = ask(url, "/")[0]
            assert refused.status == 429 and int(refused.headers["Retry-After"]) >= 1
    text = page.render("prometheus")
    assert 'tidegate_decisions_total{scope="host:web",kind="cluster_limit",name="door",decision="denied"} 2' in text
    assert 'tidegate_cluster_refilled{scope="host:web",name="door"}' in text


def test_an_agent_that_is_stopped_leaves_what_is_held(store: str, tmp_path: Path) -> None:
    limit = machine(tmp_path / "arenas", "stopped", lease=5.0, sync=0.1)
    with agent(store, tmp_path / "arenas", "stopped") as process:
        wait_until(lambda: limit.stats().tokens > 0)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    assert limit.try_acquire() and not limit.stats().refilled


def test_what_is_wrong_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TIDEGATE_SCOPE", raising=False)
    monkeypatch.setenv("TIDEGATE_DIR", str(tmp_path / "arenas"))
    monkeypatch.setenv("TIDEGATE_CAPACITY", "1M")
    limit = ClusterLimit("100/s", scope="cluster:orders", name="door")
    assert (limit.scope, limit.name, limit.count, limit.period, limit.burst) == ("host:orders", "door", 100, 1.0, 100)
    with pytest.raises(ConfigError, match=r'^scope: .*"cluster:NAME"'):
        ClusterLimit("100/s", name="door")
    with pytest.raises(ArenaError, match="declared as 100 per 1s.* here as 50 per 1s"):
        ClusterLimit("50/s", scope="cluster:orders", name="door")
    for wrong, message in [
        ({"on_unreachable": "local"}, "hosts: must be given"),
        ({"hosts": 3}, "hosts: 3 are for"),
        ({"lease": 0.1, "sync": 0.1}, "lease: 0.1 s is less than two syncs of 0.1 s"),
        ({"burst": 1}, "burst: 1 leaves nothing to lease"),
        ({"max_outstanding": 100}, "max_outstanding: 100 is not within 1 to 99"),
    ]:
        with pytest.raises(ConfigError, match=re.escape(message)):
            ClusterLimit("100/s", scope="cluster:orders", name="other", **wrong)
    for kind in (TokenBucket, RateLimiter):
        with pytest.raises(ConfigError, match=r'"cluster:orders" is for a ClusterLimit.*"host:orders"'):
            kind("100/s", scope="cluster:orders", name="bucket")
