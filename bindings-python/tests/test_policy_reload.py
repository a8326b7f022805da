"""Reload of policies: all or nothing, state kept; by a watch and by a signal; who is told."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import random
import signal
import subprocess
import sys
import textwrap
import threading
import time
import uuid
from pathlib import Path
from typing import Any

import pytest
from tidegate import CircuitBreaker, ConfigError, ManualClock, Policy, PolicyError, RateLimiter, Reloaded, TokenBucket
from tidegate.metrics import Metrics

TABLE = json.loads((Path(__file__).resolve().parents[2] / "tests" / "policies" / "reloads.json").read_text())
CASES = [pytest.param(case, id=case["name"]) for case in TABLE["cases"]]

TEXT = """
version = 1
[limits]
everyone = { rate = "%s/s", burst = 100 }
client = { rate = "6/min", key = "user", fastest = "600/min" }
[breakers]
payment = { cooldown = "%ss" }
"""


def after(case: dict[str, Any]) -> str:
    text: str = TABLE["before"]
    for old, new in case["replace"]:
        assert old in text
        text = text.replace(old, new)
    return text + case.get("add", "")


def state(policy: Policy) -> list[Any]:
    limits = [policy.limit(name) for name in ("everyone", "client")]
    quotas = [(it.count, it.period, it.burst) for it in limits]
    database, told = policy.concurrency("database"), policy.shedder("main").explain()
    signals = [it for it in told if "pressure: " not in it]
    return [quotas, database.limit, database.shares, signals, policy.breaker("payment").config]


def objects(policy: Policy) -> dict[str, Any]:
    """All that a policy of the table makes."""
    of = {
        "limits": policy.limit, "concurrency": policy.concurrency, "queues": policy.queue, "shedders": policy.shedder,
        "breakers": policy.breaker, "gates": policy.gate,
    }  # fmt: skip
    made = {f"{section}.{name}": make(name) for section, make in of.items() for name in policy.names(section)}
    return {**made, "retries.payment": policy.retry("payment")}


@pytest.mark.parametrize("is_made", [True, False])
@pytest.mark.parametrize("case", CASES)
def test_says_what_every_language_says(case: dict[str, Any], is_made: bool) -> None:
    policy = Policy.parse(TABLE["before"], clock=ManualClock())
    before = state(policy) if is_made else None
    read = (policy.text, policy.hash)
    # What nobody has asked for is made of what the file says when it comes back, and has room for it.
    made = objects(policy) if is_made or "made" in case else {}
    if "first" in case:
        policy.reload(case["first"])
        read = (policy.text, policy.hash)
    reloads = policy.generation
    if "changes" in case:
        done = policy.reload(after(case))
        assert [change._asdict() for change in done.changes] == case["changes"]
        assert done.generation == policy.generation == reloads + 1 and policy.failed_reloads == 0
        if "first" in case:
            now = objects(policy)
            assert all(now[it] is own for it, own in made.items())
        fresh = Policy.parse(after(case))
        assert policy.hash == fresh.hash and policy.names("limits") == fresh.names("limits")
        if set(policy.names("limits")) >= {"everyone", "client"}:
            assert state(policy) == state(fresh)
        return
    with pytest.raises(PolicyError) as caught:
        policy.reload(after(case))
    for problem, expected in zip(caught.value.problems, case["problems"], strict=True):
        told = problem._asdict()
        if told["path"].count(".") == 1:
            # An object that has no room says it in its own words.
            told["message"] = expected["message"]
        assert told == expected
    assert (policy.text, policy.hash) == read and (policy.generation, policy.failed_reloads) == (reloads, 1)
    if "first" in case:
        policy.reload(TABLE["before"])
    if before is not None:
        assert state(policy) == before


def test_objects_keep_their_state() -> None:
    policy = Policy.parse(TABLE["before"], clock=ManualClock())
    everyone, client, payment = policy.limit("everyone"), policy.limit("client"), policy.breaker("payment")
    gate, database = policy.gate("orders"), policy.concurrency("database")
    assert isinstance(everyone, TokenBucket) and isinstance(client, RateLimiter)
    assert everyone.try_acquire(8) and client.try_acquire("ann", 3)
    payment.force_open()
    held = database.try_acquire()
    assert held is not None
    case = next(it for it in TABLE["cases"] if it["name"] == "all that stays in place")
    done = policy.reload(after(case))
    assert isinstance(done, Reloaded) and str(done.changes[0]) == 'limits.client.rate: "6/min" becomes "12/min"'
    assert (everyone.burst, everyone.peek().remaining, client.peek("ann").remaining) == (40, 2, 6)
    assert (database.limit, database.in_use, payment.state) == (6, 1, "forced_open")
    assert policy.limit("everyone") is everyone and policy.gate("orders") is gate
    assert policy.tier("client", "pro") is not None and policy.breaker("payment") is payment
    held.release()
    assert gate.enter({"client": "ben"}).finish()
    # And back.
    assert len(policy.reload(TABLE["before"]).changes) == len(done.changes)
    assert (everyone.count, database.limit, policy.generation) == (10, 4, 2)


def test_a_limit_goes_down_and_up_again_made_or_not() -> None:
    policy = Policy.parse("version = 1\nconcurrency.c.limit = 10\n")
    for limit in (3, 10, 7):
        policy.reload(f"version = 1\nconcurrency.c.limit = {limit}\n")
        assert policy.concurrency("c").limit == limit
    with pytest.raises(PolicyError, match="concurrency.c.limit"):
        policy.reload("version = 1\nconcurrency.c.limit = 11\n")


def test_what_comes_and_what_goes() -> None:
    policy = Policy.parse(TEXT % (10, 30))
    client = policy.limit("client")
    policy.reload("version = 1\n[limits]\nmore.rate = '1/s'\n[gates.g]\nuse.limits = ['more']\n")
    assert policy.gate("g").admit() and policy.names("limits") == ["more"]
    with pytest.raises(ConfigError):
        policy.limit("client")
    assert isinstance(client, RateLimiter) and client.try_acquire("ann")
    assert 'name="client"' not in policy.metrics(), "what the file does not have is not told"
    # It is the same, if it comes again: a gate that serves has it.
    policy.reload(TEXT % (10, 30))
    assert policy.limit("client") is client and 'name="client"' in policy.metrics()


@pytest.mark.parametrize("scope", ["process", f"process:back-{uuid.uuid4().hex[:8]}"])
def test_a_name_that_comes_back_is_the_same_object(scope: str) -> None:
    base = f'version = 1\nscope = "{scope}"\n'
    text = (
        base + '[limits]\nall = { rate = "%s/h", burst = %s }\n[queues]\norders = { capacity = 10 }\n'
        "[concurrency]\ndb = { limit = 1, max_limit = 5 }\n[gates.g]\n"
        'use = { limits = ["all"], concurrency = "db", queue = "orders" }\n'
    )
    policy = Policy.parse(text % (1000, 1000))
    everyone, gate, queue = policy.limit("all"), policy.gate("g"), policy.queue("orders")
    database = policy.concurrency("db")
    assert isinstance(everyone, TokenBucket)
    for rate in (1000, 1):
        policy.reload(base)
        # Changed by hand meanwhile: the file that comes back wins, whether it says another thing than before or not.
        everyone.set_quota("77/h", burst=77)
        database.set_limit(3)
        policy.reload(text % (rate, rate))
        assert (everyone.count, everyone.burst, database.limit) == (rate, rate, 1)
    policy.queue("orders").push("an order")
    assert queue.depth == 1 and policy.gate("g") is gate
    served = sum(1 for _ in range(50) if (admission := gate.admit()).allowed and admission.finish() is None)
    assert served <= 1, "the gate that serves counts by the limit in force"
    with pytest.raises(PolicyError, match="needs a new object"):
        policy.reload((text % (5, 5)).replace("capacity = 10", "capacity = 20"))


def test_a_file_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RATE", "50")
    file = tmp_path / "orders.toml"
    file.write_text(TEXT % ("${RATE}", 30))
    policy = Policy.load(file)
    everyone = policy.limit("everyone")
    assert isinstance(everyone, TokenBucket) and everyone.count == 50
    assert policy.reload_if_changed() is None and policy.reload().changes == ()
    monkeypatch.setenv("RATE", "60")
    assert policy.reload_if_changed() is None, "the file is the same"
    assert [str(it) for it in policy.reload().changes] == ['limits.everyone.rate: "50/s" becomes "60/s"']
    file.write_text("version = 2")
    with pytest.raises(PolicyError, match="orders.toml:1:11: version"):
        policy.reload_if_changed()
    assert policy.reload_if_changed() is None, "it was told"
    file.unlink()
    with pytest.raises(PolicyError, match="cannot be read"):
        policy.reload_if_changed()
    replaced = tmp_path / "new"
    replaced.write_text(TEXT % (70, 30))
    replaced.rename(file)
    done = policy.reload_if_changed()
    assert done is not None and (everyone.count, policy.generation, policy.failed_reloads) == (70, 3, 2)
    with pytest.raises(PolicyError, match="^1:1: version") as caught:
        policy.reload("")
    assert caught.value.problems[0].path == "version"
    with pytest.raises(PolicyError, match="made of no file"):
        Policy.parse("version = 1").reload()
    with pytest.raises(TypeError, match="text: expected a str, got bytes"):
        policy.reload(b"version = 1")  # type: ignore[arg-type]


def test_who_serves_meanwhile_is_refused_nothing() -> None:
    policy = Policy.parse(TEXT % (100_000, 30))
    everyone, payment, errors, stop = policy.limit("everyone"), policy.breaker("payment"), [], threading.Event()
    assert isinstance(everyone, TokenBucket)

    def serve() -> None:
        try:
            while not stop.is_set():
                everyone.try_acquire()
                policy.limit("client")
                with payment.acquire() as permit:
                    permit.success()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=serve) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for turn in range(200):
            policy.reload(TEXT % (100_000 + turn % 2, 30 + turn % 2))
            assert everyone.count == 100_000 + turn % 2
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not errors and policy.generation == 200


def changed(file: Path, text: str) -> None:
    """Another file in its place, as editors and Kubernetes put it."""
    new = file.with_suffix(".new")
    new.write_text(text)
    new.rename(file)


async def until(is_so: Any) -> None:
    end = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < end
        await asyncio.sleep(0.01)


def test_a_watch_reloads_and_tells_each_thing_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "tidegate")
    file = tmp_path / "orders.toml"
    file.write_text(TEXT % (10, 30))
    policy = Policy.load(file)
    everyone, heard = policy.limit("everyone"), []
    assert isinstance(everyone, TokenBucket)

    def hear(done: Reloaded) -> None:
        heard.append(done.generation)
        raise RuntimeError("of a listener")

    async def run() -> None:
        watch = policy.watch(0.01, on_reload=hear)
        changed(file, TEXT % (20, 30))
        await until(lambda: everyone.count == 20 and heard == [1])
        changed(file, "version = 7")
        await until(lambda: policy.failed_reloads == 1)
        # Another file with the same mistake is read, and not told again.
        changed(file, "version = 7")
        await until(lambda: policy.failed_reloads == 2)
        changed(file, TEXT % (30, 30))
        await until(lambda: everyone.count == 30)
        watch.cancel()
        watch.cancel()
        # A look that is under way is finished.
        await asyncio.sleep(0.3)
        changed(file, TEXT % (40, 30))
        await asyncio.sleep(0.1)
        assert everyone.count == 30

    asyncio.run(run())
    assert heard == [1, 2]
    wrong = [it for it in caplog.messages if "nothing of the file was applied" in it]
    assert len(wrong) == 1 and "orders.toml:1:11: version" in wrong[0]
    assert sum("is in force (reload" in it for it in caplog.messages) == 2
    assert sum("on_reload of a policy raised" in it for it in caplog.messages) == 2


def test_a_watch_goes_on_where_nobody_holds_the_policy(tmp_path: Path) -> None:
    file = tmp_path / "orders.toml"
    file.write_text(TEXT % (10, 30))

    def limit() -> tuple[TokenBucket, Any]:
        policy = Policy.load(file)
        everyone = policy.limit("everyone")
        assert isinstance(everyone, TokenBucket)
        return everyone, policy.watch(0.01)

    async def run() -> None:
        everyone, watch = limit()
        gc.collect()
        changed(file, TEXT % (20, 30))
        await until(lambda: everyone.count == 20)
        watch.cancel()

    asyncio.run(run())


def test_a_watch_reads_no_file_that_is_being_written(tmp_path: Path) -> None:
    file = tmp_path / "pieces.toml"
    file.write_text(TEXT % (10, 30))
    policy = Policy.load(file)
    everyone = policy.limit("everyone")
    assert isinstance(everyone, TokenBucket)

    async def run() -> None:
        watch = policy.watch(0.04)
        # Half of it is a policy too, and would take the limit away; each look finds another.
        end, size = time.monotonic() + 0.4, 50
        while time.monotonic() < end:
            size += 1
            file.write_text("version = 1\n" + "#" * size)
            await asyncio.sleep(0.005)
            assert policy.generation == 0
        file.write_text(TEXT % (20, 30))
        await until(lambda: everyone.count == 20)
        watch.cancel()

    asyncio.run(run())
    assert policy.generation == 1


def test_what_a_watch_refuses(tmp_path: Path) -> None:
    file = tmp_path / "it.toml"
    file.write_text("version = 1")
    policy = Policy.load(file)
    with pytest.raises(RuntimeError):
        policy.watch()
    for interval in (0, -1, 1e9, float("nan")):
        with pytest.raises(ConfigError, match="interval: "):
            policy.watch(interval)
    with pytest.raises(TypeError, match="interval: "):
        policy.watch("2s")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="on_reload: "):
        policy.watch(on_reload=5)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="made of no file"):
        Policy.parse("version = 1").watch()
    with pytest.raises(ConfigError, match="made of no file"):
        Policy.parse("version = 1").reload_on()


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="there is no SIGHUP")
def test_a_signal_reloads(tmp_path: Path) -> None:
    file = tmp_path / "orders.toml"
    file.write_text(TEXT % (10, 30))
    heard: list[str] = []
    before = signal.signal(signal.SIGHUP, lambda *_: heard.append("before"))
    try:
        policy = Policy.load(file)
        everyone = policy.limit("everyone")
        assert isinstance(everyone, TokenBucket)
        watch = policy.reload_on()
        # Whatever the main thread holds.
        with policy._lock:
            changed(file, TEXT % (20, 30))
            os.kill(os.getpid(), signal.SIGHUP)
            time.sleep(0.01)
        end = time.monotonic() + 60
        while everyone.count != 20:
            assert time.monotonic() < end
            time.sleep(0.01)
        watch.cancel()
        os.kill(os.getpid(), signal.SIGHUP)
        assert heard == ["before"]
    finally:
        signal.signal(signal.SIGHUP, before)


def test_the_last_reload_of_an_arena_wins(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("TIDEGATE_SCOPE", raising=False)
    monkeypatch.setenv("TIDEGATE_DIR", os.fspath(tmp_path))
    scope = f'scope = "host:r{uuid.uuid4().hex[:8]}"\n'
    file = tmp_path / "orders.toml"
    file.write_text(scope + TEXT % (10, 30))
    policy = Policy.load(file)
    assert policy.in_force is None
    everyone = policy.limit("everyone")
    assert isinstance(everyone, TokenBucket) and everyone.try_acquire(7)
    assert policy.in_force == (policy.hash, 1)
    # Another process with another file, which asks for the breaker only after its reload.
    other = textwrap.dedent(
        """
        import sys
        from tidegate import Policy
        policy = Policy.parse(sys.argv[1])
        assert policy.limit("everyone").try_acquire(3)
        policy.reload(sys.argv[2])
        print(policy.hash, *policy.in_force)
        """
    )
    newer = scope + TEXT % (50, 5)
    run = subprocess.run([sys.executable, "-c", other, file.read_text(), newer], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == [Policy.parse(newer).hash, Policy.parse(newer).hash, "2"]
    assert everyone.count == 50 and everyone.stats().admitted == 2, "its counts stay"
    assert policy.in_force is not None and policy.in_force.hash != policy.hash
    # What is made late takes what is in force.
    assert policy.breaker("payment").config["cooldown"] == 5

    async def watched() -> None:
        watch = policy.watch(0.01)
        await until(lambda: any("another process has put the policy" in it for it in caplog.messages))
        await asyncio.sleep(0.1)
        changed(file, newer)
        await until(lambda: policy.generation == 1)
        watch.cancel()

    asyncio.run(watched())
    assert sum("another process has put the policy" in it for it in caplog.messages) == 1
    assert policy.in_force == (policy.hash, 2), "the same policy is put once"


BOUND = """
version = 1
[breakers]
payment = { consecutive_failures = 1, retry = { attempts = 4, base = "1ms", max_delay = "1ms", budget = {} } }
plain = {}
[shedders]
main = { signals = { gauge = { backlog = [10, 20], told = [1, 2] } } }
[gates.orders]
use = { shedder = "main" }
priority = { "POST /orders" = "critical", "* /reports/*" = "sheddable" }
"""


def test_functions_are_bound_before_objects_are_made() -> None:
    clock = ManualClock()
    policy = Policy.parse(BOUND, clock=clock)
    asked = []

    def again(error: BaseException) -> bool:
        asked.append(error)
        return True

    policy.bind("payment", failure_result=lambda result: result == "bad", retry_on=again)
    policy.bind("main", backlog=lambda: 15)
    payment = policy.breaker("payment")
    assert isinstance(payment, CircuitBreaker)
    payment.call(lambda: "bad")
    assert payment.state == "open"
    main = policy.shedder("main")
    clock.advance(1)
    main.sample()
    assert main.pressure == 0.5, "the gauge was read"
    main.tell("told", 5)
    clock.advance(0.25)
    main.sample()
    assert main.pressure == 1
    # In real time.
    policy = Policy.parse(BOUND)
    policy.bind("payment", retry_on=again)
    policy.breaker("payment"), policy.shedder("main")
    retry = policy.retry("payment")
    assert policy.retry("payment") is retry
    with pytest.raises(OSError):
        retry.call(fail)
    # The budget of a new policy has what seconds pay in.
    assert 1 <= len(asked) <= 4
    for name, functions, message in (
        ("payment", {"slow": len}, r"slow: 'payment' is made already"),
        ("payment", {"retry_on": OSError}, r"retry_on: 'payment' is made already"),
        ("plain", {"retry_on": OSError}, r"retry_on: 'plain' has no such function; there are failure_on, "),
        ("main", {"lag": len}, r"lag: 'main' has no such function; there are backlog, told"),
        ("paymet", {}, r"'paymet' is none of \[breakers\] or \[shedders\]; there are payment, plain, main"),
    ):
        with pytest.raises(ConfigError, match=message):
            policy.bind(name, **functions)
    with pytest.raises(TypeError, match="backlog: expected a function"):
        Policy.parse(BOUND).bind("main", backlog=5)
    with pytest.raises(ConfigError, match="the breaker 'plain' has no retry"):
        policy.retry("plain")


def fail() -> None:
    raise OSError


def test_routes_are_worth_what_the_file_says() -> None:
    from tidegate._gated import Gated

    policy = Policy.parse(BOUND)
    gate = policy.gate("orders")
    gated, own = Gated(gate), Gated(gate, priority="high")

    def worth(of: Gated, method: str, path: str) -> str:
        scope = {"type": "http", "method": method, "path": path, "headers": [], "client": ("192.0.2.1", 5)}
        asyncio.run(of.admit(scope))
        return str(asyncio.run(priority_of(of._priority, scope)))

    from tidegate._shed import priority_of

    ask = [("POST", "/orders"), ("GET", "/reports/7"), ("GET", "/orders")]
    assert [worth(gated, *it) for it in ask] == ["critical", "sheddable", "normal"]
    assert [worth(own, *it) for it in ask] == ["high"] * 3
    done = policy.reload(BOUND.replace('"critical"', '"high"').replace('"* /reports/*"', '"GET /orders"'))
    assert [it.path for it in done.changes] == ["gates.orders.priority"]
    assert [worth(gated, *it) for it in ask] == ["high", "normal", "sheddable"]
    assert [worth(own, *it) for it in ask] == ["high"] * 3


def test_keys_are_what_the_file_says_now() -> None:
    from tidegate._gated import Gated

    text = "version = 1\nlimits.client = { rate = '1/h', key = 'header:x-key' }\ngates.g.use.limits = ['client']\n"
    policy = Policy.parse(text)
    gated = Gated(policy.gate("g"))

    def ask(key: str) -> bool:
        headers = [(b"x-key", key.encode()), (b"x-other", b"same")]
        scope = {"type": "http", "method": "GET", "path": "/", "headers": headers, "client": ("192.0.2.1", 5)}
        return bool(asyncio.run(gated.admit(scope))[0])

    assert ask("a") and ask("b") and not ask("a")
    policy.reload(text.replace("x-key", "x-other"))
    assert ask("a") and not ask("c"), "all are one now"


def test_a_shedder_answers_as_the_file_says_now() -> None:
    clock = ManualClock()
    policy = Policy.parse(TABLE["before"], clock=clock)
    main = policy.shedder("main")

    def pressure(told: float) -> float:
        clock.advance(0.25)
        main.tell("backlog", told)
        clock.advance(0.25)
        main.sample()
        return main.pressure

    assert pressure(55) == 0.5
    policy.reload(TABLE["before"].replace("[10, 100]", "[10, 1000]"))
    assert pressure(55) < 0.1 and any("(10 to 1000)" in it for it in main.explain())
    main.set_config({"backlog": (0, 110)}, rise=0.5)
    assert pressure(55) == 0.5
    for changes, error, text in (
        ({"ranges": {"cpu": (0, 1)}}, ConfigError, "ranges: \"cpu\" is none of this shedder's signals"),
        ({"ranges": {"backlog": (2, 1)}}, ConfigError, "start 2 and full 1 are no range"),
        ({"rise": 7}, ConfigError, "rise: 7"),
        ({"rise": "x"}, TypeError, "rise"),
        ({"interval": 1}, TypeError, "unexpected keyword argument \"interval\"; it takes ranges, rise"),
    ):
        with pytest.raises(error, match=text):
            main.set_config(**changes)
    assert pressure(55) == 0.5


def test_shares_change_under_calls() -> None:
    policy = Policy.parse(TABLE["before"], clock=ManualClock())
    database = policy.concurrency("database")
    held = [database.try_acquire(partition="batch") for _ in range(4)]
    assert all(held) and database.try_acquire(partition="live") is None
    policy.reload(TABLE["before"].replace("live = 0.5, batch = 0.5", "live = 0.75, batch = 0.25"))
    assert database.shares == {"live": 0.75, "batch": 0.25}
    for permit in held:
        assert permit is not None
        permit.release()
    taken = [database.try_acquire(partition="batch") for _ in range(2)]
    assert taken[0] is not None
    with pytest.raises(ConfigError, match='partitions: are "live", "batch", and stay those; "live", "night" are given'):
        database.set_shares({"live": 0.5, "night": 0.5})
    with pytest.raises(ConfigError, match="partitions: the shares are 1.5 together"):
        database.set_shares({"live": 0.75, "batch": 0.75})
    with pytest.raises(TypeError, match="partitions: expected a dict"):
        database.set_shares(0.5)  # type: ignore[arg-type]
    assert database.shares == {"live": 0.75, "batch": 0.25}
    database.set_shares({"batch": 0.5, "live": 0.5})
    assert database.shares == {"live": 0.5, "batch": 0.5}
    for permit in taken:
        if permit is not None:
            permit.release()


def any_text(draw: random.Random) -> str:
    """A policy of the table's objects: most of them fit one another, some need another object, some are wrong."""
    rate, limit = draw.choice([5, 10, 20, 1000]), draw.choice([1, 4, 8, 8, 9])
    live = draw.choice([0.25, 0.5, 0.75])
    lines = [
        "version = 1",
        "[limits]",
        f'everyone = {{ rate = "{rate}/s", burst = {draw.choice([1, 10, 40])} }}',
        f'client = {{ rate = "{rate}/min", key = "{draw.choice(["user", "client_ip"])}", max_keys = '
        f"{draw.choice([10, 10, 10, 11])} }}",
        "[concurrency]",
        f"database = {{ limit = {limit}, max_limit = 8, partitions = {{ live = {live}, batch = {1 - live} }} }}",
        "[shedders]",
        f"main = {{ rise = {draw.choice([0.05, 0.5])}, signals = {{ gauge = {{ backlog = [{draw.choice([1, 10])}, "
        f"{draw.choice([5, 100])}] }} }} }}",
        "[breakers]",
        f'payment = {{ cooldown = "{draw.choice([1, 30])}s", window_calls = {draw.choice([20, 100, 60_000])}, probes = '
        f"{draw.choice([1, 3])} }}",
    ]
    return "\n".join(lines)


@pytest.mark.parametrize("seed", [random.randrange(2**32) for _ in range(40)])
def test_any_reloads_leave_a_policy_as_its_last_good_text_makes_one(seed: int) -> None:
    draw = random.Random(seed)
    policy, count = Policy.parse(any_valid(draw), clock=ManualClock()), 0
    last = policy.text
    if draw.random() < 0.5:
        state(policy)
    for _ in range(30):
        text = any_text(draw)
        try:
            policy.reload(text)
            last, count = text, count + 1
        except PolicyError as error:
            assert error.problems
        fresh = Policy.parse(last, clock=ManualClock())
        assert policy.hash == fresh.hash and policy.generation == count
        if draw.random() < 0.3:
            assert state(policy) == state(fresh)
    assert state(policy) == state(Policy.parse(last, clock=ManualClock()))


def any_valid(draw: random.Random) -> str:
    while True:
        text = any_text(draw)
        try:
            Policy.parse(text)
        except PolicyError:
            continue
        return text


def test_its_figures_are_those_of_all_that_it_made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    policy = Policy.parse(TABLE["before"], clock=ManualClock())
    everyone = policy.limit("everyone")
    assert isinstance(everyone, TokenBucket) and everyone.try_acquire()
    policy.gate("orders"), policy.queue("orders"), policy.retry("payment")
    policy.reload(TABLE["before"].replace('"10/s"', '"11/s"'))
    with pytest.raises(PolicyError):
        policy.reload("")
    page = policy.metrics()
    for line in (
        'tidegate_decisions_total{scope="process",kind="token_bucket",name="everyone",decision="admitted"} 1',
        'tidegate_queue_depth{scope="process",queue="orders"} 0',
        'tidegate_retry_deposits_total{scope="process",name="payment:retries"} 0',
        'tidegate_breaker_state{scope="process",name="payment",state="closed"} 1',
        f'tidegate_policy_info{{scope="process",hash="{policy.hash}"}} 1',
        'tidegate_policy_reloads_total{scope="process",result="ok"} 1',
        'tidegate_policy_reloads_total{scope="process",result="failed"} 1',
    ):
        assert line in page.splitlines(), page
    assert policy.metrics("openmetrics").endswith("# EOF\n")
    with pytest.raises(ConfigError, match="format"):
        policy.metrics("text")  # type: ignore[arg-type]
    # As they are at each scrape, beside what is added.
    metrics, own = Metrics(policy=policy), TokenBucket("1/s")
    metrics.add(own, name="own")
    before = metrics.render()
    policy.reload(TABLE["before"] + "[limits.late]\nrate = '1/s'\n")
    assert 'name="late"' not in before and policy.limit("late") is not None
    lines = metrics.render().splitlines()
    for line in (
        'tidegate_decisions_total{scope="process",kind="token_bucket",name="late",decision="admitted"} 0',
        'tidegate_decisions_total{scope="process",kind="token_bucket",name="own",decision="admitted"} 0',
        'tidegate_policy_reloads_total{scope="process",result="ok"} 2',
    ):
        assert line in lines
    with pytest.raises(TypeError, match="policy: expected a Policy, got str"):
        Metrics(policy="orders.toml")  # type: ignore[arg-type]
    # Of an arena whoever made them.
    monkeypatch.setenv("TIDEGATE_DIR", os.fspath(tmp_path))
    text = f'scope = "host:m{uuid.uuid4().hex[:8]}"\n' + TEXT % (10, 30)
    one, other = Policy.parse(text), Policy.parse(text)
    assert one.limit("everyone").count == 10
    page = other.metrics()
    assert f'kind="token_bucket",name="everyone",decision="admitted"}} 0' in page
    assert f'tidegate_policy_info{{scope="{one.scope}",hash="{one.hash}"}} 1' in page.splitlines()
    assert page.count("tidegate_policy_info{") == 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_a_child_asks_for_what_its_parent_was_reloading() -> None:
    code = f"""
        import os, signal, threading, time
        from tidegate import Policy
        text = {TEXT!r}
        policy = Policy.parse(text % (10, 30))
        client = policy.limit("client")
        held, over = threading.Event(), threading.Event()

        def hold():
            # As reloads and watches do.
            with policy._reloading._turn, policy._lock:
                held.set()
                over.wait()

        def reload():
            n = 0
            while not over.is_set():
                n += 1
                policy.reload(text % (10 + n % 5, 30 + n % 3))

        def asked():
            if (pid := os.fork()) == 0:
                # Where it hangs this ends it.
                signal.alarm(30)
                policy.reload(text % (20, 40))
                same = policy.limit("client") is client and policy.limit("everyone").count == 20
                policy._reloading.once(policy, False)
                os._exit(0 if same and policy.breaker("payment").config["cooldown"] == 40 else 1)
            assert os.waitpid(pid, 0)[1] == 0

        for run, rounds in ((hold, 1), (reload, 40)):
            over.clear()
            thread = threading.Thread(target=run)
            thread.start()
            if run is hold:
                held.wait()
            try:
                for round in range(rounds):
                    time.sleep(round / 20_000)
                    asked()
            finally:
                over.set()
                thread.join()
    """
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr


def all_of(scope: str, n: int, calls: int = 20, more: str = "") -> str:
    return f"""
version = 1
scope = "{scope}"
[limits]
login = {{ rate = "{n}/min" }}
client = {{ rate = "{n}/min", key = "user", fastest = "600/min" }}
line = {{ rate = "{n}/min", key = "user", algorithm = "leaky_bucket", fastest = "600/min" }}
seen = {{ rate = "{n}/min", key = "user", algorithm = "sliding_window", fastest = "600/min" }}
[concurrency]
database = {{ limit = {n}, max_limit = 8, partitions = {{ live = 0.{n}, batch = 0.{10 - n} }} }}
[breakers]
payment = {{ cooldown = "{n}s", window_calls = {calls}{more} }}
"""


def of_all(policy: Policy) -> list[Any]:
    quotas = [(it.count, it.burst) for it in map(policy.limit, ("login", "client", "line", "seen"))]
    database = policy.concurrency("database")
    return [quotas, database.limit, database.shares, policy.breaker("payment").config]


def test_a_file_that_stayed_is_in_force_again_when_it_is_reloaded() -> None:
    scope = f"process:rolled-back-{uuid.uuid4()}"
    old = Policy.parse(all_of(scope, 2))
    before = of_all(old)
    new = Policy.parse(all_of(scope, 7, more=", consecutive_failures = 5"))
    assert of_all(new) == of_all(old) != before, "the last is in force"
    assert old.reload(all_of(scope, 2)).changes == (), "the file says what it said"
    assert of_all(old) == before
    assert old.in_force is not None and old.in_force.hash == old.hash


def test_a_refused_reload_leaves_what_another_put_in_force() -> None:
    scope = f"process:undone-{uuid.uuid4()}"
    one = Policy.parse(all_of(scope, 5))
    of_all(one)
    other = Policy.parse(all_of(scope, 2, more=", consecutive_failures = 5"))
    before = of_all(other)
    with pytest.raises(PolicyError, match="window_calls"):
        one.reload(all_of(scope, 7, 60_000))
    assert of_all(one) == before
    assert one.in_force is not None and one.in_force.hash == other.hash
