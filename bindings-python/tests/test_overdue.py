"""Calls that are slow before they end: count_overdue."""

from __future__ import annotations

import asyncio
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
from typing import Any

import pytest
from conftest import run, wait_until
from tidegate import (
    BreakerRegistry,
    CircuitBreaker,
    CircuitOpenError,
    ConfigError,
    HostScope,
    ManualClock,
    Permit,
    http,
)

CASES = json.loads((pathlib.Path(__file__).parents[2] / "tests" / "resilience" / "overdue.json").read_text())["cases"]


def settings(given: dict[str, Any]) -> dict[str, Any]:
    return {name.removesuffix("_ms"): v / 1e3 if name.endswith("_ms") else v for name, v in given.items()}


def watched(clock: ManualClock, **more: Any) -> CircuitBreaker:
    usual: dict[str, Any] = {"slow_call_duration": 0.5, "count_overdue": True, "window_calls": 100, "min_calls": 100}
    return CircuitBreaker("it", clock=clock, **{**usual, **more})


@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in CASES])
def test_what_counts(case: Any) -> None:
    clock = ManualClock()
    clock.advance(60)
    breaker = watched(clock, **settings(case.get("settings", {})))
    permits: dict[str, Permit] = {}
    for step in case["steps"]:
        clock.set_ns(clock.now_ns + step.get("advance_ms", 0) * 1_000_000)
        if "set" in step:
            breaker.set_config(**settings(step["set"]))
        if "reset" in step:
            breaker.reset()
        if "begin" in step:
            permits[step["begin"]] = breaker.acquire()
        if step.get("refused") == "error":
            with pytest.raises(CircuitOpenError):
                breaker.acquire()
        elif "refused" in step:
            assert breaker.try_acquire() is None
        if "end" in step:
            getattr(permits[step["end"]], step["as"])()
        stats = breaker.stats()
        assert {key: getattr(stats, key) for key in ("calls", "failed", "slow", "state") if key in step} == {
            key: value for key, value in step.items() if key in ("calls", "failed", "slow", "state")
        }, step


def test_every_way_to_call_is_watched() -> None:
    clock = ManualClock()
    breaker = watched(clock, classifier=http())

    def hangs(inside: Any) -> None:
        clock.advance(0.6)
        breaker.acquire().release()
        inside.append(breaker.stats().slow)

    async def hangs_too(inside: Any) -> None:
        hangs(inside)

    seen: list[int] = []
    breaker.call(hangs, seen)
    breaker(hangs)(seen)
    run(breaker.call_async(hangs_too, seen))
    run(breaker(hangs_too)(seen))
    with breaker.acquire():
        hangs(seen)
    permit = breaker.try_acquire()
    assert permit is not None
    hangs(seen)
    permit.result(1)
    with pytest.raises(OSError), breaker.acquire():
        hangs(seen)
        raise OSError
    assert seen == [1, 2, 3, 4, 5, 6, 7]
    stats = breaker.stats()
    assert (stats.calls, stats.failed, stats.slow) == (7, 0, 7)


def test_threads_that_hang_open_the_circuit_for_the_others() -> None:
    breaker = CircuitBreaker(
        "it", slow_call_duration=0.05, count_overdue=True, window_calls=10, min_calls=4, slow_call_rate_threshold=0.5
    )
    release, begun = threading.Event(), threading.Barrier(5)

    def hang() -> None:
        begun.wait(30)
        assert release.wait(30)

    threads = [threading.Thread(target=breaker.call, args=(hang,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    begun.wait(30)

    def refused() -> bool:
        try:
            breaker.acquire().release()
        except CircuitOpenError:
            return True
        return False

    wait_until(refused)
    release.set()
    for thread in threads:
        thread.join(30)
    trip = breaker.stats().last_trip
    assert trip is not None and (trip.calls, trip.slow, trip.failed) == (4, 4, 0)


def test_a_task_that_is_cancelled_counts_for_nothing_before_and_once_after() -> None:
    clock = ManualClock()
    breaker = watched(clock)

    async def cancelled_after(seconds: float) -> None:
        task = asyncio.ensure_future(breaker.call_async(asyncio.sleep, 3600))
        await asyncio.sleep(0)
        clock.advance(seconds)
        breaker.acquire().release()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(cancelled_after(0.4))
    assert breaker.stats().calls == 0
    run(cancelled_after(0.6))
    assert (breaker.stats().calls, breaker.stats().slow) == (1, 1)


def test_it_needs_a_duration_and_is_shown() -> None:
    clock = ManualClock()
    message = r"^count_overdue: without slow_call_duration"
    with pytest.raises(ConfigError, match=message):
        CircuitBreaker("it", count_overdue=True)
    with pytest.raises(ConfigError, match=message):
        BreakerRegistry(count_overdue=True)
    for wrong in (1, "yes"):
        with pytest.raises(TypeError, match="count_overdue"):
            CircuitBreaker("it", slow_call_duration=1, count_overdue=wrong)  # type: ignore[arg-type]
    breaker = watched(clock)
    before = breaker.config
    assert before["count_overdue"] is True
    for changes in ({"slow_call_duration": None}, {"slow_call_duration": None, "count_overdue": True}):
        with pytest.raises(ConfigError, match=message):
            breaker.set_config(**changes)  # type: ignore[arg-type]
    assert breaker.config == before
    breaker.set_config(slow_call_duration=None, count_overdue=False)
    assert breaker.config == {**before, "slow_call_duration": None, "count_overdue": False}
    with pytest.raises(ConfigError, match=message):
        breaker.set_config(count_overdue=True)
    breaker.set_config(**before)
    assert breaker.config == before == watched(clock, **before).config
    assert CircuitBreaker("plain").config["count_overdue"] is False


def test_a_registry_watches_all_of_its_breakers() -> None:
    clock = ManualClock()
    hosts = BreakerRegistry(slow_call_duration=0.5, count_overdue=True, clock=clock)
    breaker = hosts.get("bank")
    permits = [breaker.acquire(), hosts.get("shop").acquire()]
    clock.advance(0.6)
    hosts.get("bank").acquire().success()
    assert (breaker.stats().calls, breaker.stats().slow) == (2, 1)
    assert hosts.get("shop").stats().slow == 0
    for permit in permits:
        permit.success()
    assert (breaker.stats().calls, hosts.get("shop").stats().slow) == (2, 1)


def test_patterns_of_a_registry_watch_or_do_not() -> None:
    internal = {"slow_call_duration": 1, "count_overdue": True}
    hosts = BreakerRegistry(overrides={"a.internal": {}, "*.internal": internal})
    held = [hosts.get(key) for key in ("a.internal", "b.internal", "c")]

    def watched() -> list[bool]:
        fresh = [hosts.get(key) for key in ("d.internal", "d")]
        return [breaker.config["count_overdue"] for breaker in [*held, *fresh, hosts.overflow]]

    assert watched() == [True, True, False, True, False, False]
    hosts.set_config("a.internal", count_overdue=False)
    assert watched() == [False, True, False, True, False, False]
    hosts.set_config("*", slow_call_duration=2, count_overdue=True)
    assert watched() == [False, True, True, True, True, True]
    hosts.set_config("c*", cooldown=3)
    assert watched() == [False, True, True, True, True, True], "nothing is said of it"
    before = [breaker.config for breaker in held]
    for pattern, changes in [("c*", {"slow_call_duration": None}), ("x", {"slow_call_duration": None})]:
        with pytest.raises(ConfigError, match="^count_overdue: without slow_call_duration"):
            hosts.set_config(pattern, **changes)
    with pytest.raises(TypeError, match="count_overdue"):
        hosts.set_config("*", count_overdue=1)  # type: ignore[arg-type]
    assert [breaker.config for breaker in held] == before
    with pytest.raises(ConfigError, match="^overrides: for 'a'?: ?count_overdue|overrides: for \"a\": count_overdue"):
        BreakerRegistry(overrides={"a": {"count_overdue": True}})
    hosts.set_config("*", slow_call_duration=None, count_overdue=False)
    assert watched() == [False, True, True, True, False, False], "other patterns say more of their keys"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_call_of_the_parent_is_none_of_a_childs(tmp_path: pathlib.Path) -> None:
    program = """
import os, sys, time
from tidegate import CircuitBreaker, HostScope
breaker = CircuitBreaker("it", slow_call_duration=0.05, count_overdue=True, min_calls=100, window_calls=100,
                         scope=HostScope("overdue", path=sys.argv[1]))
mine = breaker.acquire()
time.sleep(0.1)
child = os.fork()
if child == 0:
    breaker.acquire().success(0)
    mine.failure()
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
print(breaker.stats().calls, breaker.stats().slow)
time.sleep(0.15)
breaker.acquire().success(0)
mine.failure()
print(breaker.stats().calls, breaker.stats().failed, breaker.stats().slow)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "arena")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout.split()) == (0, ["1", "0", "3", "0", "1"]), done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_a_killed_process_leaves_no_call_behind(tmp_path: pathlib.Path) -> None:
    program = """
import sys, time
from tidegate import CircuitBreaker, HostScope
breaker = CircuitBreaker("it", slow_call_duration=0.05, count_overdue=True, min_calls=100, window_calls=100,
                         scope=HostScope("overdue", path=sys.argv[1]))
counted = breaker.acquire()
time.sleep(0.1)
held = breaker.acquire()
print(breaker.stats().slow, flush=True)
time.sleep(3600)
"""
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "arena")], stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None and child.stdout.readline() == "1\n"
        child.send_signal(signal.SIGKILL)
    breaker = CircuitBreaker(
        "it", slow_call_duration=0.05, count_overdue=True, min_calls=100, window_calls=100,
        scope=HostScope("overdue", path=tmp_path / "arena"),
    )  # fmt: skip
    for _ in range(3):
        breaker.acquire().success(0)
    # The killed one's call that somebody had found overdue, and not the one that it held.
    assert (breaker.stats().calls, breaker.stats().slow) == (4, 1)
