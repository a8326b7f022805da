"""LoadShedder: signals, who is shed, the loop's lag, adapters, and a service under twice what it can do."""

from __future__ import annotations

import asyncio
import gc
import logging
import math
import pickle
import threading
import time
import weakref
from collections import Counter
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from conftest import run
from fastapi import Depends, FastAPI
from served import served
from starlette.responses import PlainTextResponse
from tidegate import (
    BoundedQueue,
    ConcurrencyLimiter,
    ConfigError,
    LoadShedder,
    ManualClock,
    OverloadedError,
    Signal,
    TokenBucket,
    fastapi,
)
from tidegate.asgi import TidegateMiddleware

EACH = 0.25
PRIORITIES: Any = ("critical", "high", "normal", "sheddable")


def gauge(**options: Any) -> tuple[LoadShedder, ManualClock]:
    clock = ManualClock()
    return LoadShedder([Signal("gauge", start=0, full=1)], clock=clock, **options), clock


def press(shedder: LoadShedder, clock: ManualClock, value: float, intervals: int = 40) -> None:
    for _ in range(intervals):
        shedder.tell("gauge", value)
        for priority in PRIORITIES:
            shedder.admit(priority, 64)
        clock.advance(EACH)


def test_the_less_important_first() -> None:
    shedder, clock = gauge(name="api")
    press(shedder, clock, 1)
    shed = shedder.check("sheddable", 127)
    while shed.allowed:  # One in a hundred passes.
        shed = shedder.check("sheddable", 127)
    assert shed.signal == "gauge" and shed.pressure == 1
    assert 1 <= shed.retry_after <= 60
    stats = shedder.stats()
    assert stats.shed_sheddable > stats.shed_normal >= stats.shed_high >= stats.shed_critical
    assert pickle.loads(pickle.dumps(shed)) == shed
    assert pickle.loads(pickle.dumps(stats)) == stats
    with pytest.raises(OverloadedError, match=r"'api' refused a call \(gauge at 100% of its range\): ") as caught:
        for _ in range(2000):
            shedder.enter("sheddable", 127)
    assert caught.value.retry_after == shed.retry_after
    press(shedder, clock, 0, 80)
    assert shedder.pressure == 0 and shedder.admit("sheddable", 127)


def test_objects_are_signals(tmp_path: Path) -> None:
    queue: BoundedQueue[int] = BoundedQueue(10)
    limiter = ConcurrencyLimiter(4)
    clock = ManualClock()
    hidden: Any = {"_root": tmp_path}
    shedder = LoadShedder([queue, limiter, "queue_delay", "memory"], clock=clock, **hidden)
    for _ in range(7):
        assert queue.try_push(1)
    for _ in range(40):
        shedder.sample()
        clock.advance(0.05)
    assert shedder.pressure == pytest.approx(2 / 3, abs=1e-5)
    held = [limiter.try_acquire() for _ in range(4)]
    for _ in range(40):
        shedder.sample()
        clock.advance(0.05)
    assert shedder.check().signal == "in_flight"
    assert any(line.startswith("memory: off, ") and "cannot be read" in line for line in shedder.explain())
    assert all(permit is not None and permit.release() for permit in held)


def test_functions_that_fail(caplog: pytest.LogCaptureFixture) -> None:
    def fails() -> float:
        raise OSError("gone")

    clock = ManualClock()
    signals = [
        Signal("gauge", fails, start=0, full=1, name="raises"),
        Signal("gauge", lambda: math.nan, start=0, full=1, name="nan"),
        Signal("gauge", lambda: "much", start=0, full=1, name="text"),
        Signal("gauge", lambda: 0.5, start=0, full=1, name="fine"),
    ]
    shedder = LoadShedder(signals, clock=clock)
    with caplog.at_level(logging.WARNING, "tidegate"):
        for _ in range(60):
            assert shedder.admit()
            clock.advance(0.05)
    assert shedder.pressure == 0.5
    said = Counter(record.getMessage().split(" is off")[0] for record in caplog.records)
    assert said == {"signal 'raises'": 1, "signal 'nan'": 1, "signal 'text'": 1}
    assert sum("off, its function gave no number" in line for line in shedder.explain()) == 3


class Odd:
    def __float__(self) -> float:
        raise RuntimeError("odd")

    def __repr__(self) -> str:
        raise RuntimeError("cannot be shown")


@pytest.mark.parametrize("rubbish", [None, "0.5", b"1", 1j, 10**400, Odd(), [], Odd, object(), math.nan, SystemExit(1)])
def test_rubbish_is_no_value(rubbish: Any) -> None:
    def read() -> Any:
        if isinstance(rubbish, BaseException):
            raise rubbish
        return rubbish

    clock = ManualClock()
    shedder = LoadShedder([Signal("gauge", read, start=0, full=1)], clock=clock)
    for _ in range(20):
        assert shedder.admit()
        clock.advance(EACH)
    assert shedder.pressure == 0
    assert "gauge: off, its function gave no number" in shedder.explain(), shedder.explain()


def test_numbers_beyond_the_range_are_its_ends() -> None:
    for value, pressure in ((math.inf, 1), (1e308, 1), (True, 1), (-5, 0), (-math.inf, 0), (0.5, 0.5)):
        clock = ManualClock()
        shedder = LoadShedder([Signal("gauge", lambda value=value: value, start=0, full=1)], clock=clock)
        for _ in range(20):
            shedder.admit()
            clock.advance(EACH)
        assert shedder.pressure == pressure, value


def test_an_interrupt_in_a_function_ends_the_program(ctrl_c: None) -> None:
    def read() -> float:
        raise KeyboardInterrupt

    clock = ManualClock()
    shedder = LoadShedder([Signal("gauge", read, start=0, full=1)], clock=clock)
    with pytest.raises(KeyboardInterrupt):
        for _ in range(20):
            # Of 64 calls of a thread one looks whether it has the turn.
            for _ in range(64):
                shedder.admit()
            clock.advance(EACH)


def test_the_cgroup_changes_while_it_runs(tmp_path: Path) -> None:
    def write(path: str, text: str) -> None:
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def cgroup(name: str, most: int, current: int) -> None:
        for file, text in {"max": most, "current": current, "stat": "inactive_file 0"}.items():
            write(f"sys/fs/cgroup/{name}/memory.{file}", f"{text}\n")

    def until(pressure: float) -> None:
        for _ in range(2000):
            shedder.sample()
            clock.advance(0.05)
            if abs(shedder.pressure - pressure) < 1e-5:
                return
        raise AssertionError((shedder.pressure, shedder.explain()))

    write("proc/self/cgroup", "0::/a\n")
    write("proc/self/mountinfo", "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n")
    cgroup("a", 100_000, 90_000)
    cgroup("b", 100_000, 99_000)
    clock = ManualClock()
    hidden: Any = {"_root": tmp_path}
    shedder = LoadShedder(["memory", "loop_lag"], clock=clock, **hidden)
    until(0.5)
    cgroup("a", 200_000, 90_000)
    until(0)
    write("proc/self/cgroup", "0::/b\n")
    until(1)
    (tmp_path / "sys/fs/cgroup/b/memory.current").unlink()
    until(0)
    assert any(line.startswith("memory: off, ") and "cannot be read" in line for line in shedder.explain())
    cgroup("b", 100_000, 90_000)
    until(0.5)


def test_a_function_that_blocks_holds_up_one_call() -> None:
    entered, leave = threading.Event(), threading.Event()

    def blocks() -> float:
        entered.set()
        leave.wait(30)
        return 1

    shedder = LoadShedder([Signal("gauge", blocks, start=0, full=1)], interval=0.01)
    stuck = threading.Thread(target=shedder.admit)
    stuck.start()
    assert entered.wait(30)
    before = time.monotonic()
    while not any("still at work" in line for line in shedder.explain()):
        assert shedder.admit()
        assert time.monotonic() < before + 30
    leave.set()
    stuck.join(30)


def test_what_is_wrong_is_said() -> None:
    for signals, text in [
        ([], "at least one"),
        (["cpu"], "waits for its database"),
        (["cpu", "memory", "psi_cpu", "psi_memory"], "waits for its database"),
        (["nothing"], '"nothing" is none'),
        (["loop_lag", "loop_lag"], "stands there twice"),
        ([Signal("gauge")], "needs start and full"),
        ([Signal("cpu", start=math.nan), "loop_lag"], "no range"),
    ]:
        with pytest.raises(ConfigError, match=f"^signals: .*{text}"):
            LoadShedder(signals)  # type: ignore[arg-type]
    for wrong in ("cpu", 5, [5], [LoadShedder]):
        with pytest.raises(TypeError, match="^signals: expected"):
            LoadShedder(wrong)  # type: ignore[arg-type]

    async def later() -> float:
        return 1

    for read in (5, later, float):
        with pytest.raises(TypeError, match="^read: "):
            LoadShedder([Signal("gauge", read, start=0, full=1)])
    shedder, _ = gauge()
    with pytest.raises(ConfigError, match='^priority: "urgent" is not "critical", "high"'):
        shedder.admit("urgent")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="\ufffd"):
        shedder.admit("\ud800")  # type: ignore[arg-type]
    for level in (-1, 128, 2**70):
        with pytest.raises(ConfigError, match="^level: .* is not within 0 to 127"):
            shedder.admit("high", level)
    for priority, level in ((5, 0), ("high", True), ("high", 1.5)):
        with pytest.raises(TypeError, match="^(priority|level): expected"):
            shedder.admit(priority, level)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match='^signal: "other" is none of this shedder\'s: "gauge"'):
        shedder.tell("other", 1)


def test_levels_are_those_of_every_language() -> None:
    shedder, _ = gauge()
    assert [shedder._level_of(user, 1_700_000_000) for user in ("", b"a", "user 7")] == [90, 88, 69]
    other, _ = gauge(level_key="k")
    users = [f"user {n}" for n in range(100)]
    assert [shedder.level_of(user) for user in users] != [other.level_of(user) for user in users]


def test_the_loop_is_watched() -> None:
    shedder = LoadShedder(["loop_lag"])

    async def scene() -> None:
        watch = shedder.watch(0.005)
        assert shedder.watch() is watch
        while shedder.loop_lag is None:
            await asyncio.sleep(0.005)
        time.sleep(0.3)
        end = time.monotonic() + 30
        while shedder.pressure < 1:
            await asyncio.sleep(0.005)
            assert time.monotonic() < end, shedder.explain()
        assert shedder.loop_lag is not None and shedder.loop_lag[1] >= 0.25
        watch.cancel()
        assert not watch.is_active and shedder.watch() is not watch

    run(scene())
    with pytest.raises(RuntimeError):
        shedder.watch()
    with pytest.raises(ConfigError, match="^period: "):
        shedder.watch(0)
    gone = weakref.ref(shedder)
    del shedder
    gc.collect()
    assert gone() is None


def closed(status: str) -> LoadShedder:
    """One that refuses everything up to ``status``, for eight intervals and more: a server may be slow to start."""
    shedder = LoadShedder(
        [Signal("gauge", lambda: 1.0, start=0, full=1)], rise=1, min_admit=0, interval=10, critical_after=3600
    )
    end = time.monotonic() + 30
    while shedder.admit(status):  # type: ignore[arg-type]
        assert time.monotonic() < end, shedder.explain()
        time.sleep(0.001)
    return shedder


async def ok(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "http":
        await PlainTextResponse("ok")(scope, receive, send)


async def statuses(url: str, *paths: str) -> list[Any]:
    async with aiohttp.ClientSession() as session:
        answers = []
        for path in paths:
            async with session.get(url + path) as answer:
                answers.append((answer.status, answer.headers.get("retry-after"), answer.content_type))
        return answers


def test_the_middleware_sheds() -> None:
    async def priority(scope: Any) -> Any:
        return "critical" if scope["path"] == "/pay" else "normal"

    shedder = closed("normal")
    app = TidegateMiddleware(ok, shedder=shedder, priority=priority, user=lambda scope: None)
    with served(app) as url:
        shed, paid, healthy = run(statuses(url, "/", "/pay", "/healthz"))
    assert shed[0] == 503 and int(shed[1]) >= 1 and shed[2] == "application/problem+json", shed
    assert paid[0] == healthy[0] == 200, (paid, healthy)
    with pytest.raises(ConfigError, match="^priority: 'urgent' is not"):
        TidegateMiddleware(ok, shedder=shedder, priority="urgent")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="^shedder: expected a LoadShedder"):
        TidegateMiddleware(ok, shedder=5)  # type: ignore[arg-type]


def test_a_priority_that_fails_costs_the_client_nothing() -> None:
    def broken(scope: Any) -> Any:
        raise LookupError("priority")

    for wrong in ({"priority": broken}, {"user": broken}, {"priority": lambda scope: "rubbish"}):
        bucket = TokenBucket("5/hour")
        app = TidegateMiddleware(ok, limit=bucket, shedder=gauge()[0], **wrong)
        with served(app) as url:
            assert [status for status, *_ in run(statuses(url, "/", "/"))] == [500, 500]
        assert bucket.peek().remaining == 5


def test_a_fastapi_route_is_shed() -> None:
    shedder = closed("sheddable")
    app = FastAPI()
    fastapi.install_exception_handlers(app)

    @app.get("/report", dependencies=[Depends(fastapi.Shedding(shedder, "sheddable"))])
    async def report() -> str:
        return "report"

    @app.get("/pay", dependencies=[Depends(fastapi.Shedding(shedder, "critical"))])
    async def pay() -> str:
        return "paid"

    with served(app) as url:
        shed, paid = run(statuses(url, "/report", "/pay"))
    assert shed[0] == 503 and int(shed[1]) >= 1 and shed[2] == "application/problem+json"
    assert paid[0] == 200


def test_goodput_of_what_is_important_under_twice_the_load() -> None:
    """Two workers of 40 ms; 25 important calls a second and 75 others come, twice what they can do."""
    limiter, workers = ConcurrencyLimiter(20), asyncio.Semaphore(2)
    # Few and slow workers: full pressure is a wait of four calls. Shorter intervals, as the test is short.
    delay = Signal("queue_delay", start=0.04, full=0.16)
    shedder = LoadShedder([delay], interval=0.1, cool_off=0.4)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        permit = limiter.try_acquire()
        if permit is None:
            return await PlainTextResponse("full", 500)(scope, receive, send)
        with permit:
            asked = time.monotonic()
            async with workers:
                shedder.tell("queue_delay", time.monotonic() - asked)
                await asyncio.sleep(0.04)
        await PlainTextResponse("ok")(scope, receive, send)

    def priority(scope: Any) -> Any:
        return "high" if scope["path"] == "/high" else "sheddable"

    seen: Counter[tuple[str, int]] = Counter()

    async def scene(url: str) -> None:
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector) as session:

            async def one(path: str, user: int, is_counted: bool) -> None:
                async with session.get(url + path, headers={"x-user": str(user)}) as answer:
                    await answer.read()
                    seen[path, answer.status] += is_counted

            loop = asyncio.get_running_loop()
            start, tasks = loop.time(), []
            for n in range(100 * 6):
                await asyncio.sleep(max(0.0, start + n / 100 - loop.time()))
                path = "/high" if n % 4 == 0 else "/other"
                # It has two seconds to find its threshold.
                tasks.append(asyncio.ensure_future(one(path, n, n > 100 * 2)))
            await asyncio.gather(*tasks)

    def user(scope: Any) -> Any:
        return dict(scope["headers"]).get(b"x-user")

    with served(TidegateMiddleware(app, shedder=shedder, priority=priority, user=user)) as url:
        run(scene(url))

    def share(path: str) -> float:
        return seen[path, 200] / sum(count for (known, _), count in seen.items() if known == path)

    # Without it both would be served by half, and late. Two workers can do 200 in the four seconds that count.
    assert share("/high") >= 0.85 and share("/other") <= 0.4 and seen["/other", 503] > 0, seen
    assert seen["/high", 200] + seen["/other", 200] >= 120, seen
