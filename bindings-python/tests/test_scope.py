"""Where state lives: scopes, names, conflicts, and what is told of trouble. Other processes are in test_processes.py.
"""

from __future__ import annotations

import fcntl
import os
import pickle
import re
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import tidegate.limits  # noqa: F401  (registers tidegate://)
from conftest import run
from limits import RateLimitItemPerHour, RateLimitItemPerMinute, parse
from limits.errors import ConfigurationError
from limits.storage import storage_from_string
from limits.strategies import FixedWindowRateLimiter, MovingWindowRateLimiter, SlidingWindowCounterRateLimiter
from served import ask, served, statuses
from tidegate import (
    ArenaError,
    CircuitBreaker,
    CircuitOpenError,
    ConcurrencyLimiter,
    ConfigError,
    HostScope,
    LimitSet,
    ManualClock,
    ProcessScope,
    RateLimiter,
    TidegateError,
    TokenBucket,
)
from tidegate._limit import choice_name, exact_seconds
from tidegate.asgi import Rule, TidegateMiddleware
from tidegate.fastapi import RateLimit
from tidegate.keys import header

MAKE = {
    "bucket": lambda **place: TokenBucket("2/hour", **place),
    "limiter": lambda **place: RateLimiter("2/hour", max_keys=1_000, **place),
    "breaker": lambda **place: CircuitBreaker(place.pop("name", None), consecutive_failures=1, **place),
    "concurrency": lambda **place: ConcurrencyLimiter(2, **place),
}


@pytest.fixture(params=["process", "host"])
def scope(request: pytest.FixtureRequest, host: str) -> str:
    return host if request.param == "host" else host.replace("host", "process")


def test_one_name_is_one_bucket(scope: str) -> None:
    first, second = (TokenBucket("3/hour", scope=scope, name="door") for _ in range(2))
    assert [first.try_acquire(), second.try_acquire(), first.try_acquire(), second.try_acquire()] == [True] * 3 + [
        False
    ]
    assert TokenBucket("3/hour", scope=scope, name="other").try_acquire()
    assert (second.stats().admitted, second.stats().denied) == (3, 1)
    first.refund(2)
    assert second.peek().remaining == 2
    assert (first.scope, first.name) == (scope, "door") and f'scope="{scope}", name="door", remaining=' in repr(first)


def test_one_name_is_one_table_of_keys(scope: str) -> None:
    first, second = (RateLimiter("2/hour", max_keys=1_000, scope=scope, name="users") for _ in range(2))
    assert [first.try_acquire("ann"), second.try_acquire("ann"), first.try_acquire(b"ann")] == [True, True, False]
    assert second.try_acquire("ben") and len(first) == 2
    first.reset("ann")
    assert second.peek("ann").remaining == 2 and (first.scope, first.name) == (scope, "users")


def test_one_name_is_one_breaker(scope: str) -> None:
    first, second = (CircuitBreaker("bank", consecutive_failures=2, scope=scope) for _ in range(2))
    for breaker in (first, second):
        breaker.acquire().failure()
    assert first.state == second.state == "open" and first.scope == scope
    with pytest.raises(CircuitOpenError, match='"bank" is open'):
        first.acquire()
    second.reset()
    assert first.state == "closed"


def test_one_name_is_one_concurrency_limit(scope: str) -> None:
    first, second = (ConcurrencyLimiter(2, scope=scope, name="database") for _ in range(2))
    held = [first.try_acquire(), second.try_acquire()]
    assert all(held) and first.try_acquire() is second.try_acquire() is None
    assert first.in_use == second.in_use == 2 and (first.scope, first.name) == (scope, "database")
    held[0].release()  # type: ignore[union-attr]
    assert second.in_use == 1
    with second.acquire():
        assert first.try_acquire() is None
    held[1].release()  # type: ignore[union-attr]


def test_limits_of_one_arena_combine(scope: str) -> None:
    def limits() -> LimitSet:
        return LimitSet(
            user=RateLimiter("2/hour", max_keys=1_000, scope=scope, name="user"),
            everyone=TokenBucket("3/hour", scope=scope, name="everyone"),
        )

    first, second = limits(), limits()
    assert first.check(user="ann") and second.check(user="ann") and not first.check(user="ann")
    assert second.check(user="ben") and first.check(user="ben").denied_by == "everyone"


@pytest.mark.parametrize("make", MAKE.values(), ids=MAKE)
def test_private_is_the_default_and_can_be_said(make: Any, host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert make().scope == make(scope="process", name="label").scope == "process"
    monkeypatch.setenv("TIDEGATE_SCOPE", host)
    assert make(name="x").scope == make(scope=None, name="x").scope == host
    assert make(scope="process").scope == "process"
    assert make().scope == "process", "what has no name could not be found by anybody else"
    monkeypatch.setenv("TIDEGATE_SCOPE", "everywhere")
    with pytest.raises(ConfigError, match='TIDEGATE_SCOPE: "everywhere" is not a scope'):
        make(name="x")


@pytest.mark.parametrize("make", MAKE.values(), ids=MAKE)
def test_wrong_places_say_what_would_do(make: Any, host: str, tmp_path: Path) -> None:
    for scope, message in [
        ("host", '"host" is not a scope; allowed are "process"'),
        ("machine:x", "is not a scope"),
        ("host:", "is not an arena's name: 1 to"),
        ("host:a/b", "no /"),
        ("host:../b", "is not an arena's name"),
    ]:
        with pytest.raises(ConfigError, match=message):
            make(scope=scope, name="x")
    for name in ("", "two words", "-x", "ä", "x" * 64):
        with pytest.raises(ConfigError, match="name: .* is not an object's name: 1 to 63"):
            make(scope=host, name=name)
    with pytest.raises(ConfigError, match='name: .*needs a name for each .*: say name="…", or scope="process"'):
        make(scope=host)
    with pytest.raises(TypeError, match=r'scope: expected "process", .* a HostScope or a ProcessScope, got int'):
        make(scope=1, name="x")
    with pytest.raises(ConfigError, match='on_conflict: "ignore" is not "error", "keep"'):
        make(scope=host, name="x", on_conflict="ignore")
    assert list(tmp_path.iterdir()) == [], "a mistake makes no file"


@pytest.mark.parametrize("make", [MAKE[name] for name in ("bucket", "limiter", "breaker")])
def test_a_clock_of_ones_own_is_for_private_objects(make: Any, scope: str) -> None:
    with pytest.raises(ConfigError, match=r'has a clock of its own.*scope="process" to test on a ManualClock'):
        make(scope=scope, name="x", clock=ManualClock())
    assert make(scope="process", name="x", clock=ManualClock()).clock is not None


def test_host_scope_carries_options(tmp_path: Path, host: str) -> None:
    folder = tmp_path / "elsewhere"
    folder.mkdir(0o700)
    scope = HostScope("orders", path=folder, capacity=4 << 20)
    assert repr(scope) == f'HostScope("orders", path="{folder}", capacity={4 << 20})'
    assert (scope.name, scope.path, scope.capacity, scope.group) == ("orders", folder, 4 << 20, None)
    copy = pickle.loads(pickle.dumps(scope))
    assert copy == scope and hash(copy) == hash(scope) and copy != HostScope("orders")
    bucket = TokenBucket("1/hour", scope=scope, name="door")
    assert bucket.scope == "host:orders" and bucket.try_acquire()
    assert not TokenBucket("1/hour", scope=copy, name="door").try_acquire()
    [file] = [file.stat() for file in folder.glob("*.arena")]
    assert file.st_size == 4 << 20 and stat.S_IMODE(file.st_mode) == 0o600
    assert HostScope("x", group=os.getgid()).group == str(os.getgid())
    with pytest.raises(ConfigError, match="is not an arena's name"):
        HostScope("a/b")
    with pytest.raises(TypeError, match="group: expected a group's name or number, got float"):
        HostScope("x", group=1.5)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="capacity: .* is not within"):
        TokenBucket("1/hour", scope=HostScope("small", capacity=1), name="door")
    with pytest.raises(TidegateError, match="capacity|bytes"):
        TokenBucket("1/hour", scope=HostScope("orders", path=folder, capacity=8 << 20), name="door")


def test_process_scope_carries_a_capacity() -> None:
    scope = ProcessScope("sized", capacity=1 << 20)
    assert repr(scope) == f'ProcessScope("sized", capacity={1 << 20})'
    assert (scope.name, scope.capacity) == ("sized", 1 << 20)
    copy = pickle.loads(pickle.dumps(scope))
    assert copy == scope and hash(copy) == hash(scope) and copy != ProcessScope("sized")
    bucket = TokenBucket("1/hour", scope=scope, name="door")
    assert bucket.scope == "process:sized" and bucket.try_acquire()
    assert not TokenBucket("1/hour", scope="process:sized", name="door").try_acquire()
    with pytest.raises(ArenaError, match=r"do not fit into .* where it is first opened \(capacity"):
        RateLimiter("1/hour", max_keys=100_000, scope=scope, name="keys")
    RateLimiter("1/hour", max_keys=100_000, scope=ProcessScope("larger", capacity=64 << 20), name="keys")
    with pytest.raises(ConfigError, match="made with 1048576 bytes, here 2097152"):
        TokenBucket("1/hour", scope=ProcessScope("sized", capacity=2 << 20), name="door")
    with pytest.raises(ConfigError, match="capacity: 1 is not within"):
        TokenBucket("1/hour", scope=ProcessScope("small", capacity=1), name="door")
    with pytest.raises(ConfigError, match="is not an arena's name"):
        ProcessScope("a/b")


def test_another_shape_is_an_error_that_names_both(host: str) -> None:
    TokenBucket("1/hour", scope=host, name="door")
    with pytest.raises(ArenaError, match="is a token bucket .* declared as a circuit breaker") as error:
        CircuitBreaker("door", scope=host)
    assert error.value.kind == "shape"
    RateLimiter("1/hour", max_keys=1_000, scope=host, name="users")
    with pytest.raises(ArenaError) as error:
        RateLimiter("1/hour", max_keys=2_000, scope=host, name="users", on_conflict="apply")
    assert error.value.kind == "shape"
    with pytest.raises(ArenaError, match="never grows") as error:
        RateLimiter("1/hour", max_keys=10_000_000, scope=host, name="many")
    assert error.value.kind == "full"


def test_other_settings_are_an_error_or_kept_or_applied(host: str) -> None:
    def door(rate: str, **options: Any) -> TokenBucket:
        return TokenBucket(rate, scope=host, name="door", **options)

    first = door("2/hour")
    with pytest.raises(ArenaError, match=r"was declared as 2 per 3600s.*here as 5 per") as error:
        door("5/hour")
    assert error.value.kind == "settings"
    assert door("5/hour", on_conflict="keep").burst == 2
    assert door("5/hour", on_conflict="apply").burst == first.burst == 5
    first.set_quota("7/hour")
    assert door("5/hour").burst == 7, "what was set at run time survives who declares what it did before"

    users = RateLimiter("2/hour", max_keys=1_000, scope=host, name="users")
    again = RateLimiter("3/hour", max_keys=1_000, scope=host, name="users", on_conflict="apply")
    assert users.burst == again.burst == 3

    limiter = ConcurrencyLimiter(2, max_limit=10, scope=host, name="database")
    limiter.set_limit(4)
    assert ConcurrencyLimiter(2, max_limit=10, scope=host, name="database").limit == 4
    assert ConcurrencyLimiter(3, max_limit=10, scope=host, name="database", on_conflict="apply").limit == 3

    CircuitBreaker("bank", scope=host)
    with pytest.raises(ArenaError) as error:
        CircuitBreaker("bank", consecutive_failures=3, scope=host)
    assert error.value.kind == "settings"
    CircuitBreaker("bank", consecutive_failures=3, scope=host, on_conflict="keep")


def test_trouble_says_its_kind(host: str, tmp_path: Path) -> None:
    def kind_of(scope: str | HostScope) -> str:
        with pytest.raises(ArenaError) as error:
            TokenBucket("1/hour", scope=scope, name="door")
        assert len(str(error.value)) > 40, "a sentence that says what to do"
        return error.value.kind

    TokenBucket("1/hour", scope=host, name="door")
    [file] = tmp_path.glob("*.arena")
    foreign = tmp_path / file.name.replace(host.removeprefix("host:"), "foreign")
    foreign.write_bytes(b"\x7f" * (1 << 20))
    foreign.chmod(0o600)
    assert kind_of("host:foreign") == "foreign"
    (tmp_path / file.name.replace(host.removeprefix("host:"), "linked")).symlink_to(file)
    assert kind_of("host:linked") == "permission"
    assert kind_of(HostScope("door", path="/proc/self")) in ("filesystem", "permission", "system")


def test_another_layout_in_use_is_said_once(host: str, tmp_path: Path) -> None:
    TokenBucket("1/hour", scope=host, name="door")
    [file] = tmp_path.glob("*.arena")
    name, _, _ = file.name.partition(".v")
    with (tmp_path / f"{name}.v99.arena").open("wb") as other:
        # As a process of another version: it holds the lock of its slot, far beyond the file's end.
        fcntl.lockf(other, fcntl.LOCK_EX, 1, 2**62 + 100)
        code = (
            "import warnings, tidegate\n"
            "with warnings.catch_warnings(record=True) as said:\n"
            "    warnings.simplefilter('always')\n"
            f"    for name in 'ab': tidegate.TokenBucket('1/hour', scope={host!r}, name=name)\n"
            "print([(w.category.__name__, 'layout version 99' in str(w.message)) for w in said])\n"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[('RuntimeWarning', True)]\n"


async def plain(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        while (await receive())["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        return await send({"type": "lifespan.shutdown.complete"})
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def test_middleware_and_rules_make_limits_in_a_scope(host: str) -> None:
    def app() -> TidegateMiddleware:
        login = Rule("POST", "/login", limit="1/hour", key=header("x-user"), scope=host, name="login")
        return TidegateMiddleware(plain, "3/hour;100/day", scope=host, name="door", rules=[login])

    with served(app()) as one, served(app()) as two:
        assert statuses(ask(one, "/", "/")) == [200, 200]
        refused = ask(two, "/", "/")
        assert statuses(refused) == [200, 429]
        ann, ben = ({"headers": {"x-user": user}} for user in ("ann", "ben"))
        assert statuses(ask(one, "/login", method="POST", **ann) + ask(two, "/login", method="POST", **ann)) == [
            200,
            429,
        ]
        again = ask(two, "/login", method="POST", **ben)
        assert statuses(again) == [200] and again[0].headers["ratelimit-policy"].startswith('"login"')


def test_a_route_s_limit_in_a_scope(host: str) -> None:
    limits = [RateLimit("2/hour", scope=host, name="login").limit for _ in range(2)]
    assert [limits[0].try_acquire(), limits[1].try_acquire(), limits[0].try_acquire()] == [True, True, False]
    with pytest.raises(ConfigError, match="scope: the TokenBucket already has its place"):
        RateLimit(limits[0], scope=host)
    with pytest.raises(ConfigError, match="needs a name"):
        RateLimit("2/hour", scope=host)


def test_two_limits_of_one_name_are_an_error_and_not_the_last_of_them(host: str) -> None:
    everywhere = TidegateMiddleware(plain, "100/hour", scope=host, name="api")
    text = f"^name: 'api' in '{host}' is another limit of this process .100 per 3600 s, burst 100"
    for make in (
        lambda: RateLimit("3/hour", scope=HostScope(host.partition(":")[2]), name="api"),
        lambda: RateLimit("100/hour", burst=3, scope=host, name="api"),
        lambda: Rule("GET", "/", limit="3/hour", scope=host, name="api").guard(),
        lambda: RateLimit("3/hour", scope=host, name="api", on_conflict="keep"),
        lambda: RateLimit("3/hour", scope=host, name="api", on_conflict="apply"),
    ):
        with pytest.raises(ConfigError, match=text):
            make()
    assert everywhere._plain[1].limit.burst == 100  # type: ignore[index, union-attr]
    # The same limit again, and private ones.
    RateLimit("100 per hour", scope=host, name="api")
    RateLimit("3/hour", name="api"), RateLimit("4/hour", name="api", scope="process")
    several = RateLimit("5/hour;50/day", scope=host, name="several")
    with pytest.raises(ConfigError, match="^name: 'several:1' in "):
        RateLimit("6/hour", scope=host, name="several:1")
    # A deploy: the version that had the old rate is gone.
    del everywhere, several
    assert RateLimit("3/hour", scope=host, name="api").limit.burst == 3


@pytest.mark.parametrize("on_conflict", [None, "apply", "keep"])
@pytest.mark.parametrize("made", [RateLimiter, TokenBucket])
def test_a_route_does_not_loosen_a_limit_that_the_application_made(host: str, made: Any, on_conflict: Any) -> None:
    own = made("3/minute", scope=host, name="login")
    key = header("x-user") if made is RateLimiter else None
    with pytest.raises(ConfigError, match=f"^name: 'login' in '{host}' is another limit of this process .3 per 60 s, "):
        RateLimit("1000/minute", key=key, scope=host, name="login", on_conflict=on_conflict)
    about = ["x"] if made is RateLimiter else []
    assert sum(own.check(*about).allowed for _ in range(20)) == 3 and own.burst == 3
    # The same rate is the same limit, another place another, and what is gone is a deploy's.
    assert RateLimit("3/minute", key=key, scope=host, name="login").limit.burst == 3
    RateLimit("9/minute", key=key, scope=f"{host}x", name="login")
    del own
    expected = 3 if on_conflict == "keep" else 1000
    again = RateLimit("1000/minute", key=key, scope=host, name="login", on_conflict=on_conflict)
    assert again.limit.burst == expected


def test_a_route_may_declare_another_fastest_rate_of_the_same_limit(host: str) -> None:
    own = RateLimiter("3/minute", fastest="9/minute", scope=host, name="login")
    RateLimit("3/minute", key=header("x-user"), scope=host, name="login")
    assert sum(own.check("x").allowed for _ in range(20)) == 3


def test_a_mistaken_on_conflict_is_told_where_there_is_no_conflict(host: str) -> None:
    with pytest.raises(ConfigError, match="^on_conflict: "):
        RateLimit("3/minute", scope=host, name="login", on_conflict="replace")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="on_conflict"):
        RateLimit("3/minute", on_conflict="replace")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("texts", "name"),
    [
        (["3/minute", "3 per minute", " 3/60s", "3/m"], "plan:3/minute"),
        (["3 per 1.5 min", "3/90s"], "plan:3/90s"),
        (["3/year"], "plan:3/31536000s"),
        (["9/second;3 per minute", "9/s; 3/minute"], "plan:9/second-3/minute"),
        ([";".join(f"{n} per {n} days" for n in range(2, 14))], "plan:[0-9a-f]{12}"),
    ],
)
def test_a_rate_that_a_function_chooses_has_a_name_however_it_is_written(
    host: str, texts: list[str], name: str
) -> None:
    chosen = iter(texts * 3)
    rule = Rule("*", "/*", limit=lambda _: next(chosen), scope=host, name="plan")
    with served(TidegateMiddleware(plain, rules=[rule])) as url:
        seen = ask(url, *["/"] * (len(texts) * 3))
    most = 2 if len(texts) == 1 and "2 per" in texts[0] else 3
    assert statuses(seen)[: most + 1] == ([200] * most + [429])[: len(seen)]
    if ";" not in texts[0]:
        assert seen[0].headers["ratelimit-policy"].startswith(f'"{name}"')
    assert all(re.fullmatch(name, choice_name("plan", text)) for text in texts)


@pytest.mark.parametrize("strategy", [FixedWindowRateLimiter, MovingWindowRateLimiter, SlidingWindowCounterRateLimiter])
@pytest.mark.parametrize("limit", ["2/month", "2/year", "2 per 12 days"])
def test_a_storage_in_a_scope_takes_long_windows(host: str, strategy: Any, limit: str) -> None:
    item = parse(limit)
    one, two = (strategy(storage_from_string(f"tidegate://{host}?max_keys=1000&max_entries=10000")) for _ in range(2))
    assert [one.hit(item, "ann"), two.hit(item, "ann"), one.hit(item, "ann")] == [True, True, False]


def test_no_two_windows_share_a_name() -> None:
    lengths = [60, 86400, 0.5, 999_999, 1_000_000, 1_234_567, 1_234_568, 2_592_000, 31_104_000, 86400.125]
    assert [exact_seconds(length) for length in lengths] == [str(length) for length in lengths]
    assert exact_seconds(60.0) == "60" and exact_seconds(0.00001) == "0.00001"


@pytest.mark.parametrize("strategy", [FixedWindowRateLimiter, MovingWindowRateLimiter, SlidingWindowCounterRateLimiter])
def test_a_storage_for_limits_in_a_scope(host: str, strategy: Any) -> None:
    uri = f"tidegate://{host}?max_keys=1000&max_entries=10000"
    first, second = (strategy(storage_from_string(uri)) for _ in range(2))
    limit = RateLimitItemPerHour(2)
    assert [first.hit(limit, "ann"), second.hit(limit, "ann"), first.hit(limit, "ann")] == [True, True, False]
    assert second.hit(limit, "ben") and first.get_window_stats(limit, "ann").remaining == 0
    # What it takes by itself fits into an arena as it is made by itself.
    assert strategy(storage_from_string(f"tidegate://{host}2")).hit(RateLimitItemPerMinute(5), "ann")
    with pytest.raises(ConfigurationError, match='"shop" is not a scope'):
        storage_from_string("tidegate://shop")


def test_waiting_works_in_a_scope(scope: str) -> None:
    bucket = TokenBucket("1000/s", burst=1, scope=scope, name="paced")
    for _ in range(3):
        bucket.acquire(timeout=30)

    async def scene() -> None:
        for _ in range(3):
            await bucket.acquire_async(timeout=30)

    run(scene())
    assert bucket.stats().admitted == 6
