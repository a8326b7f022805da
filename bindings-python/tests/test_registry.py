"""BreakerRegistry: its objects, settings and scopes. (The vectors hold it to the model.)"""

from __future__ import annotations

import asyncio
import gc
import mmap
import pathlib
import sys
import threading
import weakref
from functools import partial
from typing import Any

import pytest
from conftest import Script, Thread
from tidegate import ArenaError, BreakerRegistry, CircuitBreaker, CircuitOpenError, ConfigError, ManualClock, Trip


def fail(breaker: CircuitBreaker, times: int = 1) -> None:
    for _ in range(times):
        breaker.acquire().failure()


def test_a_breaker_each_with_all_its_methods(clock: ManualClock) -> None:
    registry = BreakerRegistry(8, consecutive_failures=2, cooldown=5, clock=clock, failure_on=OSError)
    breaker = registry.get("api.example.com")
    assert isinstance(breaker, CircuitBreaker) and breaker.name == "api.example.com" and breaker.clock is clock

    @breaker
    async def work(error: type[Exception]) -> None:
        raise error

    async def main() -> None:
        for error in (ValueError, OSError, OSError):
            with pytest.raises(error):
                await work(error)

    asyncio.run(main())
    with pytest.raises(CircuitOpenError) as caught:
        breaker.call(print)
    assert (caught.value.breaker, caught.value.trip) == ("api.example.com", Trip(3, 2, 0))
    assert [event.kind for event in breaker.events()] == ["opened"]
    assert registry.get("api.example.org").call(lambda: 7) == 7
    assert registry.peek("elsewhere") is None and "elsewhere" not in registry and len(registry) == 2
    assert repr(registry) == "BreakerRegistry(8, breakers=2)"
    assert [(key, breaker.state) for key, breaker in registry.items()] == [
        ("api.example.com", "open"),
        ("api.example.org", "closed"),
    ]
    assert registry.remove("api.example.com") and not registry.remove("api.example.com")
    assert breaker.state == "closed"


def test_any_str_or_bytes_is_a_key() -> None:
    registry = BreakerRegistry()
    assert registry.get("für") is registry.get("für".encode())
    registry.get(b"\xff\x00")
    registry.get("")
    registry.get("x" * 300)
    keys = [key for key, _ in registry.items()]
    assert keys[:3] == ["für", b"\xff\x00", ""] and keys[3] == registry.get("x" * 300).name
    for use in (registry.get, registry.peek, registry.remove, registry.__contains__):
        with pytest.raises(TypeError, match="key: expected a str or bytes, got int"):
            use(7)  # type: ignore[operator]


def test_one_object_of_a_breaker_while_anybody_has_it() -> None:
    registry = BreakerRegistry(2)
    breaker = registry.get("a")
    assert registry.get("a") is breaker and registry.peek("a") is breaker and registry.items() == [("a", breaker)]
    assert registry.overflow is registry.overflow
    gone = weakref.ref(breaker)
    fail(breaker)
    del breaker
    gc.collect()
    assert gone() is None and registry.get("a").stats().failed == 1
    # More keys than places, and objects that are forgotten one by one.
    for number in range(2_000):
        registry.get(f"key{number}").acquire().success()
    gc.collect()
    assert len(registry) == 2 and registry.stats().evicted == 1_999


@pytest.mark.skipif(sys.platform != "linux", reason="no /proc/self/statm")
def test_it_is_as_it_was_after_a_flood_of_keys() -> None:
    registry = BreakerRegistry(64, consecutive_failures=1, cooldown=3600)
    fail(registry.get("dependency"))

    def flood(keys: range) -> int:
        for number in keys:
            registry.get(f"key{number}").acquire().success()
        gc.collect()
        return int(pathlib.Path("/proc/self/statm").read_text().split()[1]) * mmap.PAGESIZE

    before = flood(range(3_000))
    assert flood(range(3_000, 30_000)) < before + 16 * 2**20
    # Each costs the same, however many there are.
    held = [registry.get(f"held{number}") for number in range(10_000)]
    assert all(breaker.name == f"held{number}" for number, breaker in enumerate(held))
    dependency = registry.peek("dependency")
    assert dependency is not None and dependency.state == "open" and dependency.try_acquire() is None
    stats = registry.stats()
    assert (stats.breakers, stats.evicted, stats.overflowed) == (64, 39_937, 0)


def test_one_object_for_all_threads() -> None:
    registry, met, seen = BreakerRegistry(64), threading.Barrier(4), [dict[str, CircuitBreaker]() for _ in range(4)]

    def ask(mine: dict[str, CircuitBreaker]) -> None:
        met.wait()
        for number in range(64):
            mine[str(number)] = registry.get(str(number))

    for thread in [Thread(partial(ask, mine)) for mine in seen]:
        thread.finish()
    assert all(mine[key] is breaker for mine in seen for key, breaker in seen[0].items())


def test_a_registry_is_collected_with_its_cycle() -> None:
    class Mine(BreakerRegistry):
        pass

    def own(error: Exception) -> bool:
        return error is not registry

    registry: Any = Mine(failure_on=own)
    gone = weakref.ref(registry)
    registry.get("a")
    del registry, own
    gc.collect()
    assert gone() is None


def test_patterns_have_settings_of_their_own() -> None:
    overrides = {"*.internal": {"cooldown": 1}, b"db.*": {"consecutive_failures": None, "cooldown": 2, "min_calls": 3}}
    registry = BreakerRegistry(consecutive_failures=2, cooldown=5, overrides=overrides)

    def cooldown(key: str) -> tuple[int, int]:
        breaker = registry.get(key)
        breaker.reset()
        while breaker.state == "closed":
            fail(breaker)
        trip = breaker.stats().last_trip
        assert trip is not None
        (failed, wait) = (trip.failed, round(breaker.retry_after))
        breaker.reset()
        return failed, wait

    assert (cooldown("a"), cooldown("b.internal"), cooldown("db.org")) == ((2, 5), (2, 1), (3, 2))
    assert cooldown("db.internal") == (2, 1), "it says more of the key"
    held = registry.get("held.internal")
    registry.set_config("*.internal", cooldown=7)
    registry.set_config("*", consecutive_failures=1)
    fail(held, 2)
    assert round(held.retry_after) == 7
    assert (cooldown("new.internal"), cooldown("a"), cooldown("db.org")) == ((2, 7), (1, 5), (3, 2))
    fail(registry.overflow)
    assert registry.overflow.state == "open"


def test_a_change_of_a_pattern_is_of_what_it_names() -> None:
    registry = BreakerRegistry(
        consecutive_failures=9, overrides={"db.internal": {"min_calls": 3}, "*.internal": {"cooldown": 1}}
    )

    def config(key: str) -> tuple[float, int]:
        found = registry.get(key).config
        return found["cooldown"], found["min_calls"]

    assert (config("db.internal"), config("a.internal"), config("a")) == ((1, 3), (1, 10), (30, 10))
    held = registry.get("e1")
    registry.set_config("*", cooldown=5)
    registry.set_config("e*", min_calls=7)
    assert (config("e1"), config("e2"), config("a"), config("a.internal")) == ((5, 7), (5, 7), (5, 10), (1, 10))
    held.set_config(cooldown=9)
    registry.set_config("e*", min_calls=6)
    assert (config("e1"), config("e2")) == ((9, 6), (5, 6)), "what was changed of it alone stays"


@pytest.mark.parametrize(
    ("error", "words", "arguments"),
    [
        (ConfigError, "^overrides: has an empty pattern", {"overrides": {"": {}}}),
        (ConfigError, '^overrides: for "a": cooldown_backoff', {"overrides": {"a": {"cooldown_backoff": 0.5}}}),
        (ConfigError, '^overrides: for "a": window_calls', {"overrides": {"a": {"window_calls": 2_000}}}),
        (ConfigError, "^overrides: has the pattern \"a\" twice", {"overrides": {"a": {}, b"a": {}}}),
        (TypeError, "^overrides: expected a dict of patterns", {"overrides": ["a"]}),
        (TypeError, "^overrides: expected a dict of patterns", {"overrides": {"a": 5}}),
        (TypeError, "^overrides: expected a str or bytes, got int", {"overrides": {5: {}}}),
        (TypeError, "^overrides: 'a' got an unexpected keyword argument", {"overrides": {"a": {"colour": 5}}}),
        (TypeError, "got an unexpected keyword argument 'colour'; it takes max_breakers, fail", {"colour": 5}),
        (ConfigError, "^classifier, ignore: give one of them", {"ignore": OSError, "classifier": 5}),
        (ConfigError, "^window_calls, window_duration: give one", {"window_calls": 5, "window_duration": 5}),
    ],
)
def test_wrong_arguments(error: type[Exception], words: str, arguments: dict[str, Any]) -> None:
    with pytest.raises(error, match=words):
        BreakerRegistry(**arguments)


def test_wrong_changes_change_nothing() -> None:
    registry = BreakerRegistry(cooldown=5, consecutive_failures=1)
    for error, words, pattern, changes in [
        (ConfigError, "^cooldown_backoff: ", "*", {"cooldown_backoff": 0}),
        (ConfigError, "^window_duration: ", "*", {"window_duration": 5}),
        (ConfigError, "^pattern: is empty", "", {"cooldown": 1}),
        (TypeError, "^pattern: expected a str or bytes", 5, {"cooldown": 1}),
        (TypeError, r"^set_config\(\) got an unexpected keyword argument \"colour\"", "*", {"colour": 1}),
    ]:
        with pytest.raises(error, match=words):
            registry.set_config(pattern, **changes)
    fail(registry.get("a"))
    assert round(registry.get("a").retry_after) == 5


def test_all_processes_share_it(host: str) -> None:
    registry = BreakerRegistry(4, consecutive_failures=1, name="hosts", scope=host)
    known = registry.get("a")
    with Script() as other:
        other.run(
            f"""
            from tidegate import BreakerRegistry
            registry = BreakerRegistry(4, consecutive_failures=1, name="hosts", scope={host!r})
            registry.get("a").acquire().failure()
            registry.set_config("*", cooldown=500)
            """
        )
        assert other.ask('(registry.get("b").state, len(registry))') == ("closed", 2)
        assert (known.state, known.scope) == ("open", host)
        fail(registry.get("b"))
        assert 400 < registry.get("b").retry_after <= 500, "what stands has changed for all"
        fail(registry.get("new"))
        assert 400 < other.ask('registry.get("b").retry_after') <= 500
        assert 400 < registry.get("new").retry_after <= 500, "and what anybody makes later"
        registry.set_config("new*", cooldown=50)
        assert other.ask('registry.get("newer").config["cooldown"]') == 50
    # The one who changed it has gone; the change stays for who declares the same.
    later = BreakerRegistry(4, consecutive_failures=1, name="hosts", scope=host)
    assert (later.get("latest").config["cooldown"], later.get("newest").config["cooldown"]) == (500, 50)
    with pytest.raises(ConfigError, match="^pattern: has 65 bytes; in a shared scope at most 64"):
        later.set_config("x" * 65, cooldown=1)
    with pytest.raises(ArenaError, match="4 breakers"):
        BreakerRegistry(5, consecutive_failures=1, name="hosts", scope=host)
