"""Policy files: what every language reads of them and what they say is wrong; objects, scopes, mistakes."""

from __future__ import annotations

import json
import os
import pickle
import threading
import uuid
from pathlib import Path
from typing import Any

import pytest
import tidegate
from tidegate import (
    BoundedQueue,
    CircuitBreaker,
    ConcurrencyLimiter,
    ConfigError,
    Gate,
    LoadShedder,
    ManualClock,
    Policy,
    PolicyError,
    Problem,
    RateLimiter,
    TokenBucket,
)
from tidegate._tidegate import policy_parse

POLICIES = Path(__file__).resolve().parents[2] / "tests" / "policies"

ORDERS = """
version = 1
[limits]
everyone = { rate = "400/s", burst = 800 }
client.rate = "2/minute"
client.key = "first_of(user, client_ip)"
client.fastest = "60/s"
client.tiers = { pro = "60/minute", max = { rate = "60/minute", burst = 90 } }
[concurrency]
database = { limit = 10, partitions = { live = 0.9, batch = 0.1 } }
[queues]
orders = { capacity = 5000, discipline = "codel" }
[shedders]
main = { signals = { queue_fill = { queue = "orders" }, in_flight = { concurrency = "database" } } }
[breakers]
payment = { consecutive_failures = 1, cooldown = "30s" }
[gates.orders]
use.limits = ["client", "everyone"]
use.dependencies = ["payment"]
use.shedder = "main"
use.concurrency = "database"
use.queue = "orders"
refund_on = ["failure"]
"""


def files(kind: str) -> list[Any]:
    found = sorted((POLICIES / kind).glob("*.toml"))
    assert len(found) >= 200
    return [pytest.param(path, id=path.stem) for path in found]


def in_environment(path: Path, monkeypatch: pytest.MonkeyPatch) -> Policy:
    first = path.read_bytes().decode().split("\n", 1)[0]
    if first.startswith("# env: "):
        for pair in first.removeprefix("# env: ").split("; "):
            monkeypatch.setenv(*pair.split("=", 1))
    return Policy.load(path)


@pytest.mark.parametrize("path", files("valid"))
def test_reads_what_every_language_reads(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = in_environment(path, monkeypatch)
    assert policy._read[0] == json.loads(path.with_suffix(".json").read_text())
    again = Policy.parse(policy.text)
    assert (again.text, again.hash) == (policy.text, policy.hash)


@pytest.mark.parametrize("path", files("valid"))
def test_makes_all_that_is_valid(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEGATE_SCOPE", "process")
    policy = in_environment(path, monkeypatch)
    assert policy.scope == "process"
    for section, get, classes in (
        ("limits", policy.limit, (TokenBucket, RateLimiter)),
        ("concurrency", policy.concurrency, ConcurrencyLimiter),
        ("queues", policy.queue, BoundedQueue),
        ("shedders", policy.shedder, LoadShedder),
        ("breakers", policy.breaker, CircuitBreaker),
        ("gates", policy.gate, Gate),
    ):
        for name in policy.names(section):
            made = get(name)
            assert isinstance(made, classes) and get(name) is made


@pytest.mark.parametrize("path", files("broken"))
def test_tells_all_that_is_broken(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PolicyError) as caught:
        in_environment(path, monkeypatch)
    problems = json.loads(path.with_suffix(".json").read_text())
    assert [problem._asdict() for problem in caught.value.problems] == problems
    assert str(caught.value).startswith(f"{path}:{problems[0]['line']}:{problems[0]['column']}: ")


def test_every_setting_has_its_range() -> None:
    cases = json.loads((POLICIES / "settings.json").read_text())
    assert len(cases) > 400
    for case in cases:
        read = policy_parse(case["text"])
        told, where = (read[1], "config") if len(read) == 5 else (read[1], "problems")
        assert json.loads(told) == case.get(where), case["text"]


def test_ends_of_ranges_are_taken_by_the_classes() -> None:
    made = 0
    for case in json.loads((POLICIES / "settings.json").read_text()):
        # A hundred million keys are a matter of memory; and a float of seconds has no 2^64 - 1 nanoseconds.
        apart = ("max_keys", "capacity = 16777216", f"{2**64 - 1}ns")
        if "config" not in case or any(it in case["text"] for it in apart):
            continue
        policy = Policy.parse(case["text"])
        section = next(iter(case["config"]))
        get = {"limits": policy.limit, "queues": policy.queue, "shedders": policy.shedder, "breakers": policy.breaker}
        get.get(section, policy.concurrency)("it")
        made += 1
    assert made > 80


def test_one_gate_of_all_parts() -> None:
    policy = Policy.parse(ORDERS, clock=ManualClock())
    gate, payment = policy.gate("orders"), policy.breaker("payment")
    assert gate.dependencies["payment"] is payment and gate.queue is policy.queue("orders")
    assert gate.concurrency is policy.concurrency("database") and gate.shedder is policy.shedder("main")
    with gate.enter({"client": "ann"}, dependencies=("payment",), partition="live") as admission:
        assert gate.concurrency.in_use == 1
        admission.breaker("payment").failure()
    assert gate.admit({"client": "ann"}, dependencies=("payment",)).denied_by == "payment"
    assert gate.enter({"client": "ann"}).finish()
    assert gate.admit({"client": "ann"}).denied_by == "client"
    client = policy.limit("client")
    assert isinstance(client, RateLimiter) and client.check("ben", tier=policy.tier("client", "max")).limit == 90
    assert client.check("cay", 50, tier=policy.tier("client", "pro"))
    assert policy.scope == "process" and repr(policy).startswith("Policy(2 limits, 1 concurrency, 1 queues")
    assert policy.names("limits") == ["everyone", "client"]


def test_objects_are_made_once_whoever_asks() -> None:
    policy, seen = Policy.parse(ORDERS), []
    start = threading.Barrier(8)

    def ask() -> None:
        start.wait()
        seen.append((policy.gate("orders"), policy.limit("client"), policy.queue("orders")))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 8 and all(it[0] is seen[0][0] and it[1:] == seen[0][1:] for it in seen)


def test_names_that_are_none() -> None:
    policy = Policy.parse(ORDERS)
    with pytest.raises(ConfigError, match=r"name: 'paymet' is none of \[breakers\]; there are payment"):
        policy.breaker("paymet")
    with pytest.raises(ConfigError, match=r"the policy has no \[gates\]"):
        Policy.parse("version = 1").gate("orders")
    with pytest.raises(ConfigError, match=r"is none of \[limits.client.tiers\]"):
        policy.tier("client", "free")
    with pytest.raises(ConfigError, match="section: 'gate' is none of limits"):
        policy.names("gate")
    with pytest.raises(TypeError, match="name: expected a str, got int"):
        policy.gate(5)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        Policy.load(5)  # type: ignore[arg-type]


def test_a_file_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="nowhere.toml: cannot be read: ") as caught:
        Policy.load(tmp_path / "nowhere.toml")
    (problem,) = caught.value.problems
    assert (problem.line, problem.column, problem.path, problem.hint) == (0, 0, "", None)
    (tmp_path / "large.toml").write_text("#" * (1 << 20) + "\n")
    with pytest.raises(PolicyError, match="too large"):
        Policy.load(tmp_path / "large.toml")
    (tmp_path / "latin.toml").write_bytes(b"version = 1\n# caf\xe9\n")
    with pytest.raises(PolicyError, match=r"latin.toml:2:6: is not UTF-8"):
        Policy.load(os.fspath(tmp_path / "latin.toml"))
    with pytest.raises(PolicyError):
        Policy.load(tmp_path)


def test_the_error_travels() -> None:
    with pytest.raises(ConfigError) as caught:
        Policy.parse("version = 1\n[breakers]\npayment = { cooldwon = '30s' }\n")
    told = pickle.loads(pickle.dumps(caught.value))
    assert isinstance(told, PolicyError) and str(told) == str(caught.value)
    (problem,) = told.problems
    assert isinstance(problem, Problem) and problem.path == "breakers.payment.cooldwon" and problem.hint == "cooldown"
    assert (problem.line, problem.column) == (3, 13)


def test_a_named_scope_is_shared_and_the_environment_wins(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("TIDEGATE_SCOPE", raising=False)
    monkeypatch.setenv("TIDEGATE_DIR", os.fspath(tmp_path))
    name = f"p{uuid.uuid4().hex[:8]}"
    text = (
        f'scope = "host:{name}"\nversion = 1\n[breakers]\npayment = {{ cooldown = "%s" }}\n'
        '[limits]\nall = { rate = "%s" }\n'
    )
    policy = Policy.parse(text % ("30s", "5/min"))
    assert policy.scope == f"host:{name}"
    bucket = policy.limit("all")
    assert isinstance(bucket, TokenBucket)
    policy.breaker("payment").force_open()
    assert bucket.try_acquire(5) and not bucket.try_acquire()
    # Another process, with a newer file.
    other = Policy.parse(text % ("10s", "10/min"))
    assert other.breaker("payment").state == "forced_open"
    other.limit("all")
    assert bucket.peek().limit == 10
    monkeypatch.setenv("TIDEGATE_SCOPE", "process")
    assert Policy.parse(text % ("30s", "5/min")).breaker("payment").state == "closed"
    monkeypatch.setenv("TIDEGATE_SCOPE", "hots:x")
    with pytest.raises(PolicyError, match="TIDEGATE_SCOPE"):
        Policy.parse("version = 1")


def test_is_public() -> None:
    assert {"Policy", "PolicyError", "Problem"} <= set(tidegate.__all__)
