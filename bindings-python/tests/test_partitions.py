"""Partitions of a ConcurrencyLimiter: lent and called back, waiting, decorating, errors."""

from __future__ import annotations

import asyncio
import math
import pickle
from typing import Any

import pytest
from conftest import Thread, run, wait_until
from tidegate import ConcurrencyLimiter, ConcurrencyLimitError, ConcurrencyPermit, ConfigError, PartitionStats

BOTH = {"live": 0.9, "batch": 0.1}


@pytest.fixture(params=["private", "process", "host"])
def place(request: pytest.FixtureRequest, host: str) -> dict[str, str]:
    if request.param == "private":
        return {"scope": "process"}
    return {"scope": host.replace("host", request.param), "name": "service"}


def lent(limiter: ConcurrencyLimiter) -> list[ConcurrencyPermit]:
    """All there is, to batch."""
    permits = [limiter.try_acquire("batch") for _ in range(limiter.limit)]
    assert all(permits) and limiter.try_acquire(partition="batch") is None
    return [permit for permit in permits if permit is not None]


def test_what_was_lent_comes_back_at_the_first_release(place: Any) -> None:
    limiter = ConcurrencyLimiter(10, partitions=BOTH, **place)
    held = lent(limiter)
    assert limiter.try_acquire(partition="live") is None
    assert held.pop(3).release()
    assert limiter.try_acquire(partition="batch") is None and limiter.try_acquire() is None
    with limiter.acquire(partition="live"):
        stats = limiter.partition_stats()
        assert list(stats) == ["live", "batch"]
        assert stats["live"] == PartitionStats(0.9, 9, 1, 0, 1, 1, 0)
        assert (stats["batch"].in_use, stats["batch"].denied) == (9, 2)
    assert limiter.partition_stats()["live"].called_back == 1
    assert pickle.loads(pickle.dumps(stats)) == stats and "guaranteed=9" in repr(stats["live"])
    assert limiter.explain()[0].startswith('partition "live": 0.9 is 9 places')
    assert all(permit.release() for permit in held)


def test_an_owner_who_waits_is_served_first(place: Any) -> None:
    limiter = ConcurrencyLimiter(10, max_wait=60, partitions=BOTH, **place)
    held = lent(limiter)
    thread = Thread(lambda: limiter.acquire(partition="live"))
    wait_until(lambda: limiter.stats().waiting == 1)

    async def scene() -> None:
        waits = asyncio.create_task(limiter.acquire_async(partition="live"))
        borrows = asyncio.create_task(limiter.acquire_async(partition="batch"))
        while limiter.stats().waiting < 3:
            await asyncio.sleep(0.001)
        assert held.pop().release() and limiter.try_acquire("batch") is None
        assert (await asyncio.to_thread(thread.finish)).release()
        assert (await waits).release()
        assert not borrows.done() and limiter.try_acquire("batch") is None
        # Live's demand fades; or batch gives back what is its own.
        assert all(permit.release() for permit in held)
        assert (await borrows).release()

    run(scene())
    assert limiter.stats().waiting == 0


def test_a_decorated_function_belongs_to_its_partition() -> None:
    limiter = ConcurrencyLimiter(10, partitions=BOTH, priority=["live"])

    @limiter(partition="live")
    def serve() -> int:
        return limiter.partition_stats()["live"].in_use

    @limiter(partition="batch")
    async def export() -> int:
        return limiter.partition_stats()["batch"].in_use

    @limiter
    def other() -> int:
        return limiter.in_use

    assert (serve(), run(export()), other()) == (1, 1, 1)
    held = lent(limiter)
    with pytest.raises(ConcurrencyLimitError):
        serve()
    held.pop().release()
    assert serve() == 1
    with pytest.raises(ConcurrencyLimitError):
        run(export())
    with pytest.raises(ConfigError, match="partition: \"Live\" is none of"):
        limiter(partition="Live")
    with pytest.raises(TypeError, match="func: missing"):
        limiter()  # type: ignore[call-overload]
    assert all(permit.release() for permit in held)


def test_an_adaptive_limit_has_partitions() -> None:
    limiter = ConcurrencyLimiter.adaptive(partitions=BOTH, priority=("live", "batch"))
    assert limiter.partition_stats()["live"].guaranteed == 18
    permit = limiter.try_acquire("live")
    assert permit is not None and permit.success()


def test_switches() -> None:
    dry = ConcurrencyLimiter(1, partitions=BOTH, dry_run=True)
    with dry.acquire(partition="live"), dry.acquire(partition="live"):
        assert dry.partition_stats()["live"].would_deny == 1
    off = ConcurrencyLimiter(1, partitions=BOTH, enabled=False)
    with off.acquire(partition="live"), off.acquire(partition="live"):
        assert off.in_use == 0
    with pytest.raises(ConfigError):
        off.try_acquire("Live")


def many() -> dict[str, float]:
    return {f"p{number}": 0.1 for number in range(9)}


@pytest.mark.parametrize(
    ("given", "wrong", "why"),
    [
        ({"partitions": {"live": 0.9, "batch": 0.2}}, ConfigError, r"^partitions: the shares are 1\.1 together"),
        ({"partitions": {"live": 0}}, ConfigError, r'^partitions: the share of "live" is 0;'),
        ({"partitions": {"live": -0.1}}, ConfigError, r"is -0\.1;"),
        ({"partitions": {"live": math.nan}}, ConfigError, "is NaN;"),
        ({"partitions": {"live": math.inf}}, ConfigError, "is inf;"),
        ({"partitions": {"live": 10**400}}, ConfigError, "is inf;"),
        ({"partitions": {"": 0.5}}, ConfigError, "1 to 32"),
        ({"partitions": {"x" * 33: 0.5}}, ConfigError, "33 bytes; 1 to 32"),
        ({"partitions": many()}, ConfigError, "^partitions: more than 8"),
        ({"partitions": BOTH, "priority": ["nightly"]}, ConfigError, '^priority: "nightly" is none of "live", "batch"'),
        ({"partitions": BOTH, "priority": ["live", "live"]}, ConfigError, "^priority: .*twice"),
        ({"priority": ["live"]}, ConfigError, "^priority: .*without partitions"),
        ({"partitions": ["live"]}, TypeError, "^partitions: expected a dict of names and shares, got list"),
        ({"partitions": {"live": "0.9"}}, TypeError, "^partitions: expected the share of each as a float, got str"),
        ({"partitions": {"live": True}}, TypeError, "got bool"),
        ({"partitions": {1: 0.5}}, TypeError, "^partitions: expected the name of a partition, a str, got int"),
        ({"partitions": BOTH, "priority": "live"}, TypeError, "^priority: expected a list of names"),
        ({"partitions": BOTH, "priority": [1]}, TypeError, "^priority: expected the name"),
        ({"partitions": BOTH, "priority": 1}, TypeError, "^priority"),
    ],
)
@pytest.mark.parametrize("make", [lambda **given: ConcurrencyLimiter(10, **given), ConcurrencyLimiter.adaptive])
def test_wrong_partitions(make: Any, given: dict[str, Any], wrong: type[Exception], why: str) -> None:
    with pytest.raises(wrong, match=why):
        make(**given)


def test_a_wrong_partition_of_a_call() -> None:
    limiter = ConcurrencyLimiter(10, partitions=BOTH)
    for call in (limiter.try_acquire, limiter.acquire, limiter.acquire_async):
        with pytest.raises(ConfigError, match='^partition: "Live" is none of "live", "batch"'):
            call(partition="Live")
        with pytest.raises(TypeError, match="^partition: expected the name of one of its partitions, a str, got int"):
            call(partition=1)  # type: ignore[arg-type]
    # As text of a key: U+FFFD for each surrogate.
    odd = ConcurrencyLimiter(10, partitions={"\ud800": 0.5}, priority=["\udfff"])
    assert list(odd.partition_stats()) == ["\ufffd"]
    odd.acquire(partition="\udbff").release()
    with pytest.raises(ConfigError, match='^partition: "\ufffd" is none of "live", "batch"'):
        limiter.try_acquire("\ud800")
    with pytest.raises(ConfigError, match="made without partitions"):
        ConcurrencyLimiter(10).try_acquire("live")
    assert limiter.in_use == 0 and ConcurrencyLimiter(10).partition_stats() == {}
