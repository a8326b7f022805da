"""The storage for limits: that library's own behaviour, beside its memory storage on one clock, and under real
applications.
"""

from __future__ import annotations

import asyncio
import os
import pathlib
import pickle
import random
import subprocess
import sys
import time
from typing import Any

import freezegun
import limits
import limits.aio.storage
import limits.aio.strategies
import pytest
import tidegate.limits
from conftest import Thread, run
from limits.errors import ConfigurationError
from limits.storage import MemoryStorage, storage_from_string
from limits.strategies import (
    STRATEGIES,
    FixedWindowRateLimiter,
    MovingWindowRateLimiter,
    SlidingWindowCounterRateLimiter,
)
from tidegate import ManualClock
from tidegate._tidegate import run_command

START = 1_800_000_000 // 64 * 64


@pytest.fixture
def wall(monkeypatch: pytest.MonkeyPatch) -> ManualClock:
    """One clock for both libraries: the storage's own, and what time.time says."""
    clock = ManualClock(START * 1_000_000_000)
    monkeypatch.setattr(time, "time", lambda: clock.now_ns / 1e9)
    return clock


def ours(clock: ManualClock, uri: str = "tidegate://", **options: Any) -> Any:
    return storage_from_string(uri, clock=clock, **options)


@pytest.mark.parametrize("strategy", [*STRATEGIES.values()])
def test_a_worker_that_has_not_hit_yet_promises_nothing(strategy: Any, host: str) -> None:
    item = limits.parse("2 per 3 hours")
    one, other = (strategy(storage_from_string(f"tidegate://{host}")) for _ in range(2))
    assert [one.hit(item, "ann") for _ in range(3)] == [True, True, False]
    assert not other.test(item, "ann")
    assert other.get_window_stats(item, "ann").remaining == 0


def test_a_worker_that_has_not_hit_yet_clears_the_window(host: str) -> None:
    item = limits.parse("2 per 3 hours")
    one, other = (FixedWindowRateLimiter(storage_from_string(f"tidegate://{host}")) for _ in range(2))
    assert one.hit(item, "ann", cost=2) and not one.hit(item, "ann")
    other.clear(item, "ann")
    assert one.hit(item, "ann", cost=2)


@pytest.mark.parametrize("key", ["ann", "a/b/c", "a/1/age", "a/-1/hour", "a/\u0661/hour", "a/0/hour", ""])
def test_a_key_that_names_no_window_opens_none(key: str, host: str) -> None:
    storage = storage_from_string(f"tidegate://{host}")
    assert storage.get(key) == 0
    storage.clear(key)
    assert storage.reset() == 0


@pytest.mark.parametrize("strategy", [*STRATEGIES.values()])
def test_nothing_is_admitted_of_a_limit_of_none_and_no_cost_is_too_high_to_be_refused(strategy: Any) -> None:
    limiter = strategy(storage_from_string("tidegate://"))
    nothing, item = limits.parse("0/minute"), limits.parse("5/minute")
    assert not limiter.hit(nothing, "ann") and not limiter.test(nothing, "ann")
    assert limiter.get_window_stats(nothing, "ann").remaining == 0
    for cost in (2**32 - 1, 2**32, 10**30, float("inf")):
        assert not limiter.hit(item, str(cost), cost=cost)
    assert limiter.hit(item, "ann", cost=True)
    assert limiter.get_window_stats(item, "ann").remaining == 4


def test_a_storage_is_pickled_where_its_counts_are_shared(host: str) -> None:
    here = storage_from_string(f"tidegate://{host}?max_keys=500")
    there = pickle.loads(pickle.dumps(here))
    assert [here.incr("k", 60), there.incr("k", 60), here.incr("k", 60)] == [1, 2, 3]
    with pytest.raises(TypeError, match="the scope 'process' counts in one process, and cannot be pickled for another"):
        pickle.dumps(storage_from_string("async+tidegate://"))


HIT: dict[str, Any] = {
    "fixed-window": lambda storage: storage.incr("k", 60),
    "moving-window": lambda storage: storage.acquire_entry("k", 10, 60),
    "sliding-window-counter": lambda storage: storage.acquire_sliding_window_entry("k", 10, 60, 1),
}


@pytest.mark.parametrize("scheme", ["", "async+"])
@pytest.mark.parametrize("strategy", HIT)
def test_a_deploy_with_another_size_is_told_at_the_start(strategy: str, scheme: str, host: str) -> None:
    HIT[strategy](storage_from_string(f"tidegate://{host}?max_keys=1000&max_entries=5000"))
    # The same again, and what changes nothing of this table.
    HIT[strategy](storage_from_string(f"tidegate://{host}?max_keys=1000&max_entries=5000"))
    option = "max_entries" if strategy == "moving-window" else "max_keys"
    other = f"{scheme}tidegate://{host}?max_keys=2000&max_entries=9000"
    with pytest.raises(ConfigurationError, match=f"^tidegate: {option}: .* was made for .*on_conflict") as raised:
        storage_from_string(other)
    # The command that it advises mends it.
    advised = str(raised.value).partition("`tidegate ")[2].partition("`")[0].split()
    kept = storage_from_string(f"tidegate://{host}?max_keys=2000&max_entries=9000&on_conflict=keep")
    HIT[strategy](kept)
    keys = {"moving-window": 500}.get(strategy, 1000)
    assert [table.max_keys for table in kept._do._tables.all()] == [keys]
    assert HIT[strategy](pickle.loads(pickle.dumps(kept))) in (3, 4, True)
    assert run_command(["tidegate", *advised, "--force"]) == 0
    storage_from_string(other)


def test_a_table_of_another_size_that_came_after_the_start_is_told_or_kept(host: str) -> None:
    early = [storage_from_string(f"tidegate://{host}?max_keys=2000&on_conflict={way}") for way in ("keep", "error")]
    storage_from_string(f"tidegate://{host}?max_keys=1000").incr("k", 60)
    assert early[0].incr("k", 60) == 2
    with pytest.raises(ConfigurationError, match="max_keys: .* was made for 1000 keys"):
        early[1].incr("k", 60)


def test_a_storage_opens_no_arena_before_it_is_used(host: str) -> None:
    directory = pathlib.Path(os.environ["TIDEGATE_DIR"])
    storage_from_string(f"tidegate://{host}")
    assert not [*directory.iterdir()] if directory.exists() else True
    for place, wrong in [(host, "apply"), ("", "none")]:
        with pytest.raises(ConfigurationError, match='on_conflict must be "error" or "keep".* got'):
            storage_from_string(f"tidegate://{place}?on_conflict={wrong}")


def test_an_arena_that_cannot_be_used_is_told_at_the_start(host: str) -> None:
    storage_from_string(f"tidegate://{host}").incr("k", 60)
    (file,) = [file for file in pathlib.Path(os.environ["TIDEGATE_DIR"]).iterdir() if file.suffix != ".lock"]
    file.write_bytes(b"no arena")
    with pytest.raises(ConfigurationError, match="tidegate: "):
        storage_from_string(f"tidegate://{host}")


def test_one_import_registers_both_schemes() -> None:
    assert isinstance(storage_from_string("tidegate://"), tidegate.limits.TidegateStorage)
    assert isinstance(storage_from_string("async+tidegate://"), tidegate.limits.AsyncTidegateStorage)


def test_fixed_window(wall: ManualClock) -> None:
    storage = ours(wall)
    limiter, limit = FixedWindowRateLimiter(storage), limits.RateLimitItemPerSecond(10, 2)
    assert all(limiter.hit(limit) for _ in range(10))
    wall.advance(1)
    assert not limiter.hit(limit)
    assert limiter.get_window_stats(limit).remaining == 0
    assert limiter.get_window_stats(limit).reset_time == pytest.approx(START + 2, abs=0.001)
    assert storage.get(limit.key_for()) == 11, "a refused hit counts, as in every storage of limits"
    wall.advance(1.001)
    assert limiter.get_window_stats(limit).remaining == 10
    assert storage.get(limit.key_for()) == 0 and storage.get_expiry(limit.key_for()) == time.time()
    assert limiter.hit(limit, cost=5) and limiter.get_window_stats(limit).remaining == 5
    assert limiter.test(limit, cost=5) and not limiter.test(limit, cost=6)


def test_the_window_starts_at_the_first_hit(wall: ManualClock) -> None:
    storage = ours(wall)
    wall.advance(0.75)
    assert storage.incr("k", 2) == 1
    assert storage.get_expiry("k") == pytest.approx(START + 2.75, abs=0.001)
    wall.advance(1.999)
    assert storage.incr("k", 2, 3) == 4
    wall.advance(0.002)
    assert storage.incr("k", 2) == 1


def test_moving_window(wall: ManualClock) -> None:
    limiter, limit = MovingWindowRateLimiter(ours(wall)), limits.RateLimitItemPerMinute(10)
    assert limiter.get_window_stats(limit) == (time.time() + 60, 10)
    for i in range(5):
        assert limiter.hit(limit) and limiter.hit(limit)
        assert limiter.get_window_stats(limit).remaining == 10 - (i + 1) * 2
        assert limiter.get_window_stats(limit).reset_time == pytest.approx(START + 60), "the oldest hit's end"
        wall.advance(10)
    assert limiter.get_window_stats(limit).remaining == 0 and not limiter.hit(limit) and not limiter.test(limit)
    wall.advance(20)
    assert limiter.get_window_stats(limit).remaining == 4, "two pairs are over"
    assert limiter.get_window_stats(limit).reset_time == pytest.approx(START + 80)
    assert limiter.hit(limit, cost=4) and not limiter.hit(limit)
    assert not limiter.hit(limit, cost=11), "more than the limit, for ever"
    wall.advance(61)
    assert limiter.get_window_stats(limit).remaining == 10


def test_sliding_window_counter(wall: ManualClock) -> None:
    storage = ours(wall)
    limiter, limit = SlidingWindowCounterRateLimiter(storage), limits.RateLimitItemPerSecond(10, 64)
    assert limiter.get_window_stats(limit) == (time.time(), 10)
    assert limiter.hit(limit, cost=8) and limiter.get_window_stats(limit).remaining == 2
    assert storage.get_sliding_window(limit.key_for(), 64) == (0, 0.0, 8, 128.0)
    wall.advance(16)
    assert limiter.get_window_stats(limit).reset_time == pytest.approx(START + 64)
    wall.advance(48 + 32)
    assert storage.get_sliding_window(limit.key_for(), 64) == (8, 32.0, 0, 96.0)
    assert limiter.get_window_stats(limit).remaining == 6, "half of the window before still counts"
    assert limiter.hit(limit, cost=6) and not limiter.hit(limit) and not limiter.test(limit)
    assert storage.get_sliding_window(limit.key_for(), 64) == (8, 32.0, 6, 96.0)
    limiter.clear(limit)
    assert limiter.get_window_stats(limit).remaining == 10
    wall.advance(128)
    assert storage.get_sliding_window(limit.key_for(), 64)[::2] == (0, 0)


def test_an_estimate_is_rounded_up(wall: ManualClock) -> None:
    """The memory storage rounds 4.5 of 5 down and admits a hit; tidegate never admits above the limit."""
    limit = limits.RateLimitItemPerSecond(5, 64)
    answers = []
    for storage in (MemoryStorage(), ours(wall)):
        limiter = SlidingWindowCounterRateLimiter(storage)
        wall.set_ns(START * 1_000_000_000)
        assert limiter.hit(limit, cost=5)
        wall.advance(64 + 6.4)
        answers.append(limiter.hit(limit))
    assert answers == [True, False]


@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
def test_beside_the_memory_storage(strategy: str, wall: ManualClock) -> None:
    """The same random calls on both, at times and costs where no estimate has a fraction."""
    source = random.Random(strategy)
    limiters = [STRATEGIES[strategy](storage) for storage in (ours(wall), MemoryStorage())]
    items = [limits.RateLimitItemPerSecond(10, 64), limits.RateLimitItemPerSecond(4, 64)]
    assert [limiter.test(items[0]) for limiter in limiters] == [True, True], "windows are counted from the first use"
    for step in range(400):
        wall.advance(source.choice([0, 0, 0, 32, 32, 64]))
        item, who, cost = source.choice(items), source.choice("ab"), source.choice([2, 2, 4, 12])
        ask = source.choice(["hit", "hit", "hit", "test", "get_window_stats", "clear"])
        if ask == "clear" and step % 7:
            continue
        arguments = {"cost": cost} if ask in ("hit", "test") else {}
        if strategy != "sliding-window-counter":
            # At the very end of a window the two differ by what their clocks resolve.
            wall.advance(0.25)
        answers = [getattr(limiter, ask)(item, who, **arguments) for limiter in limiters]
        if ask == "get_window_stats":
            assert answers[0].remaining == answers[1].remaining, step
            if strategy != "moving-window" or answers[0].remaining < item.amount:
                assert answers[0].reset_time == pytest.approx(answers[1].reset_time, abs=0.01), step
        else:
            assert answers[0] == answers[1], (step, ask, item, who, cost)


def test_a_test_promises_what_a_hit_takes_at_any_cost(wall: ManualClock) -> None:
    limiter, limit = FixedWindowRateLimiter(ours(wall)), limits.RateLimitItemPerHour(3)
    for n in range(40):
        cost: Any = (0.25, 0.5, 1, 1.5, 2, 2.75, 3, 3.5)[n % 8]
        who = f"user {n % 5}"
        assert limiter.test(limit, who, cost=cost) == limiter.hit(limit, who, cost=cost), (n, cost)
        assert type(limiter.get_window_stats(limit, who).remaining) is int


def test_reset_and_clear(wall: ManualClock) -> None:
    storage = ours(wall)
    assert storage.check() is True
    for n in range(5):
        storage.incr(f"k{n}", 60)
    storage.acquire_entry("log", 2, 60)
    storage.clear("k0")
    assert (storage.get("k0"), storage.get("k1")) == (0, 1)
    storage.clear("log")
    assert storage.get_moving_window("log", 2, 60) == (time.time(), 0)
    assert storage.reset() == 4
    assert [storage.get(f"k{n}") for n in range(5)] == [0] * 5


def test_a_full_counter_refuses(wall: ManualClock) -> None:
    storage = ours(wall)
    limiter, limit = FixedWindowRateLimiter(storage), limits.RateLimitItemPerHour(5_000_000)
    assert limiter.hit(limit, cost=1_000_000)
    assert not limiter.hit(limit, cost=1_000_000), "what cannot be counted is refused, not admitted"
    assert not limiter.test(limit) and limiter.get_window_stats(limit).remaining == 0


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (
            lambda: storage_from_string("tidegate://?max_keys=0"),
            "max_keys must be a whole number of 1 or more, got '0'",
        ),
        (lambda: storage_from_string("tidegate://?keys=5"), "unknown option keys"),
        (lambda: storage_from_string("tidegate://", max_entries="many"), "max_entries must be a whole number"),
        (lambda: storage_from_string("tidegate://?max_keys="), "max_keys must be a whole number of 1 or more, got ''"),
        (lambda: storage_from_string("tidegate:///host:x"), "without a path; got 'tidegate:///host:x'"),
        (lambda: storage_from_string("tidegate:///?max_keys=5"), "without a path"),
        (lambda: storage_from_string("tidegate:host:x"), "without a path"),
        (lambda: storage_from_string("tidegate://host:ok/0"), "without a path"),
        (lambda: storage_from_string("tidegate://host:ok#0"), "without a path"),
        (lambda: storage_from_string("tidegate://shop"), '"shop" is not a scope'),
        (lambda: storage_from_string("tidegate://host:"), "is not an arena.s name"),
        (lambda: storage_from_string("tidegate://process:"), "is not an arena.s name"),
        (lambda: storage_from_string("tidegate://Host:ok"), '"Host:ok" is not a scope'),
        (lambda: storage_from_string("tidegate://user:pw@host:6379"), '"user:pw@host:6379" is not a scope'),
        (lambda: storage_from_string("async+tidegate://shop"), '"shop" is not a scope'),
        (lambda: storage_from_string("tidegate://", max_keys=10**9), "max_keys: 1000000000 is not within"),
        (lambda: storage_from_string("tidegate://host:x", clock=tidegate.ManualClock()), "clock of its own"),
        (lambda: storage_from_string("tidegate://").acquire_entry("k", 4097, 60), "take sliding-window-counter"),
        (
            lambda: storage_from_string("tidegate://").acquire_sliding_window_entry("k", 300_000, 60),
            "take fixed-window",
        ),
    ],
)
def test_what_it_cannot_hold_is_said(use: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        use()


def test_a_wrong_default_scope_is_said_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEGATE_SCOPE", "shop")
    with pytest.raises(ConfigurationError, match='"shop" is not a scope'):
        storage_from_string("tidegate://")


def test_options_of_the_uri() -> None:
    storage = storage_from_string("tidegate://?max_keys=500&max_entries=1000")
    storage.incr("k", 60)
    storage.acquire_entry("k", 10, 60)
    tables = storage._do._tables
    assert [table.max_keys for table in tables.all()] == [500, 100]


def test_memory_is_fixed_under_a_flood(wall: ManualClock) -> None:
    storage = ours(wall, "tidegate://?max_keys=1000")
    storage.incr("real", 60, 5)
    memory = [table.memory for table in storage._do._tables.all()]
    for n in range(20_000):
        storage.incr(f"flood{n}", 60)
    assert [table.memory for table in storage._do._tables.all()] == memory
    assert storage.get("real") == 5, "a live count is kept"


def test_threads_count_every_hit() -> None:
    storage = storage_from_string("tidegate://")
    limiter, limit = FixedWindowRateLimiter(storage), limits.RateLimitItemPerHour(1000)
    threads = [Thread(lambda: sum(limiter.hit(limit, "u") for _ in range(500))) for _ in range(8)]
    assert sum(thread.finish() for thread in threads) == 1000
    assert storage.get(limit.key_for("u")) == 4000
    log, window = MovingWindowRateLimiter(storage), SlidingWindowCounterRateLimiter(storage)
    for strategy in (log, window):
        threads = [Thread(lambda: sum(strategy.hit(limit, "u") for _ in range(500))) for _ in range(8)]
        assert sum(thread.finish() for thread in threads) == 1000


def test_async_strategies(wall: ManualClock) -> None:
    storage: Any = storage_from_string("async+tidegate://", clock=wall)

    async def scene() -> None:
        assert await storage.check() is True
        for name in ("FixedWindow", "MovingWindow", "SlidingWindowCounter"):
            limiter = getattr(limits.aio.strategies, name + "RateLimiter")(storage)
            limit = limits.RateLimitItemPerMinute(5)
            hits = await asyncio.gather(*(limiter.hit(limit, name) for _ in range(8)))
            assert sum(hits) == 5, name
            assert not await limiter.test(limit, name)
            assert (await limiter.get_window_stats(limit, name)).remaining == 0
            await limiter.clear(limit, name)
            assert (await limiter.get_window_stats(limit, name)).remaining == 5
        await storage.incr("k", 60)
        assert await storage.get_expiry("k") == pytest.approx(time.time() + 60, abs=0.01)
        assert await storage.reset() == 1 and await storage.get("k") == 0

    run(scene())


def test_tidegate_itself_needs_no_limits() -> None:
    code = "import sys, tidegate, tidegate.asgi; sys.exit('limits' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_window_ends_in_time(wall: ManualClock) -> None:
    storage = ours(wall)
    for seconds in (1, 60, 3600, 86_400):
        limiter, limit = FixedWindowRateLimiter(storage), limits.RateLimitItemPerSecond(2, seconds)
        wall.advance(0.123456789)
        assert [limiter.hit(limit, str(seconds)) for _ in range(3)] == [True, True, False]
        wall.advance(seconds * 0.9999)
        assert not limiter.hit(limit, str(seconds))
        wall.advance(seconds * 0.0001)
        assert limiter.hit(limit, str(seconds)), seconds


def test_nothing_is_promised_that_a_hit_is_refused(wall: ManualClock) -> None:
    limiter = SlidingWindowCounterRateLimiter(ours(wall))
    source = random.Random(7)
    promised = 0
    for amount in (3, 5, 7, 10):
        limit = limits.RateLimitItemPerSecond(amount, 60)
        for _ in range(1500):
            wall.advance(source.choice([0, 0.37, 1.1, 7.77, 13, 31.3, 60]))
            cost = source.randint(1, amount)
            remaining, test = limiter.get_window_stats(limit, "u").remaining, limiter.test(limit, "u", cost=cost)
            hit = limiter.hit(limit, "u", cost=cost)
            assert hit == test == (remaining >= cost), (amount, cost, remaining)
            promised += hit
    assert promised > 500


def test_costs_that_are_no_whole_numbers(wall: ManualClock) -> None:
    for strategy in STRATEGIES.values():
        limiter, limit = strategy(ours(wall)), limits.RateLimitItemPerMinute(5)
        assert limiter.hit(limit, cost=2.0) and limiter.hit(limit, cost=1.5), strategy  # type: ignore[arg-type]
        assert limiter.get_window_stats(limit).remaining == 1
        assert limiter.hit(limit, cost=0.2) and not limiter.hit(limit, cost=0.2)  # type: ignore[arg-type]


def test_no_end_is_told_beyond_the_window() -> None:
    storage = storage_from_string("tidegate://")
    for length in (60, 3600, 86_400, 30 * 86_400):
        limiter, limit = FixedWindowRateLimiter(storage), limits.RateLimitItemPerSecond(2, length)
        for who in range(20):
            assert limiter.hit(limit, str(who))
            latest = time.time() + length
            told = limiter.get_window_stats(limit, str(who)).reset_time
            assert latest - length * 2**-13 - 1 < told <= latest + 0.01, (length, who)


@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
@pytest.mark.parametrize("begin", [1_700_000_000.0, 0.0, -1e9, -5_364_662_400.0, -150.0])
def test_a_clock_that_follows_time(strategy: str, begin: float, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [begin]
    monkeypatch.setattr(time, "time", lambda: now[0])
    storage: Any = storage_from_string("tidegate://?clock=time.time")
    limiter, limit = STRATEGIES[strategy](storage), limits.RateLimitItemPerMinute(2)
    for _ in range(3):
        assert [limiter.hit(limit, "u") for _ in range(3)] == [True, True, False]
        assert limiter.get_window_stats(limit, "u").remaining == 0
        if strategy == "fixed-window":
            assert storage.get_expiry(limit.key_for("u")) == pytest.approx(now[0] + 60, abs=0.001)
        now[0] += 120.001 if strategy == "sliding-window-counter" else 60.001
        assert storage.get(limit.key_for("u")) == 0
    with pytest.raises(ConfigurationError, match='clock must be "time.time" or a ManualClock'):
        storage_from_string("tidegate://?clock=sundial")


@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
def test_a_window_on_a_clock_of_tests_is_over_when_its_time_is(strategy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """To the nanosecond, wherever it began: freezegun's ``tick(60)`` ends a minute, window after window."""
    source = random.Random(strategy)
    now = [0.0]
    monkeypatch.setattr(time, "time", lambda: now[0])
    for length in (1, 60, 3600, 86_400, 30 * 86_400):
        limit = limits.RateLimitItemPerSecond(2, length)
        for begin in (1_700_000_000.0, *(source.uniform(1e9, 2e9) for _ in range(20))):
            now[0] = begin
            storage: Any = storage_from_string("tidegate://?clock=time.time&max_keys=10")
            limiter = STRATEGIES[strategy](storage)
            for window in range(4):
                assert [limiter.hit(limit) for _ in range(3)] == [True, True, False], (length, begin, window)
                if strategy == "fixed-window":
                    assert limiter.get_window_stats(limit).reset_time == now[0] + length
                    # What headers say is whole seconds.
                    now[0] += length / 2
                    left = limiter.get_window_stats(limit).reset_time - now[0]
                    assert 0 <= left - length / 2 < 1e-4 * length
                    now[0] -= length / 2
                now[0] += length * (2 if strategy == "sliding-window-counter" else 1)


LENGTHS = [1, 60, 3600, 86_400, 30 * 86_400]


@pytest.mark.parametrize("strategy", ["fixed-window", "moving-window"])
def test_a_window_on_a_clock_of_tests_is_over_no_earlier(strategy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    source = random.Random(strategy)
    now = [0.0]
    monkeypatch.setattr(time, "time", lambda: now[0])
    for length in LENGTHS:
        limit = limits.RateLimitItemPerSecond(2, length)
        for begin in (0.0, 1_700_000_000.0, *(source.uniform(1e9, 2e9) for _ in range(20))):
            now[0] = begin
            storage: Any = storage_from_string("tidegate://?clock=time.time&max_keys=10")
            limiter = STRATEGIES[strategy](storage)
            assert [limiter.hit(limit) for _ in range(3)] == [True, True, False]
            for left in (length * 1e-4, length * 2**-14, length * 1e-6, 1e-6):
                now[0] = begin + length - left
                assert not limiter.test(limit) and not limiter.hit(limit), (length, begin, left)
            assert limiter.get_window_stats(limit).remaining == 0
            now[0] = begin + length
            assert limiter.get_window_stats(limit).remaining == 2, (length, begin)
            assert limiter.test(limit) and [limiter.hit(limit) for _ in range(3)] == [True, True, False]


def test_a_frozen_minute_lasts_a_minute() -> None:
    with freezegun.freeze_time("2026-01-01 00:00:00.1") as frozen:
        limiter = FixedWindowRateLimiter(storage_from_string("tidegate://?clock=time.time"))
        limit = limits.RateLimitItemPerMinute(1)
        for _ in range(3):
            assert limiter.hit(limit)
            frozen.tick(59.9999)
            assert not limiter.hit(limit)
            frozen.tick(0.0001)


def test_windows_on_a_clock_of_tests_keep_to_their_room_and_to_their_threads(wall: ManualClock) -> None:
    storage = ours(wall, "tidegate://?max_keys=50")
    for n in range(2000):
        storage.incr(f"k{n}", 60)
    assert len(storage._do._tables.ends._ends) == 50
    # Those without room end by their table.
    wall.advance(60.01)
    assert storage.incr("late", 60) == 1 and storage.get_expiry("late") == time.time() + 60
    limiter, limit = FixedWindowRateLimiter(ours(wall)), limits.RateLimitItemPerMinute(100)
    for _ in range(20):
        threads = [Thread(lambda: sum(limiter.hit(limit, "u") for _ in range(50))) for _ in range(4)]
        assert sum(thread.finish() for thread in threads) == 100
        wall.advance(60)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_child_counts_on_a_clock_of_tests_whatever_another_thread_held(wall: ManualClock) -> None:
    storage = ours(wall)
    with storage._do._tables.ends._lock:
        child = os.fork()
        if child == 0:
            os._exit(storage.incr("k", 60) != 1)
    assert os.waitpid(child, 0)[1] == 0


def test_flask_limiter_s_command(tmp_path: Any) -> None:
    (tmp_path / "shop.py").write_text(
        "import tidegate.limits\nfrom flask import Flask\nfrom flask_limiter import Limiter\napp = Flask(__name__)\n"
        "limiter = Limiter(lambda: 'k', app=app, storage_uri='tidegate://', default_limits=['5/minute'])\n"
        "app.get('/items')(lambda: 'ok')\n"
    )
    for command in (["config"], ["limits"], ["clear", "--key", "k", "-y"]):
        line = [sys.executable, "-m", "flask", "--app", "shop", "limiter", *command]
        done = subprocess.run(line, capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
