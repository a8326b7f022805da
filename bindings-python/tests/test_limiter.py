"""RateLimiter, Tier, Block and LimitSet: what Python adds to the vectors."""

from __future__ import annotations

import asyncio
import gc
import math
import pickle
import subprocess
import sys
import weakref
from datetime import timedelta
from typing import Any

import pytest
from conftest import Thread, run, wait_until
from tidegate import (
    Block,
    ConfigError,
    Decision,
    LimitSet,
    ManualClock,
    RateLimitedError,
    RateLimiter,
    TokenBucket,
)


def test_each_key_has_its_own(clock: ManualClock) -> None:
    limiter = RateLimiter("2/minute", clock=clock)
    assert [limiter.try_acquire("ann") for _ in range(3)] == [True, True, False]
    assert limiter.try_acquire("ben") and limiter.try_acquire(key="ben", n=1, tier=None)
    denied = limiter.check("ann")
    assert not denied and (denied.limit, denied.remaining, denied.retry_after) == (2, 0, 30.0)
    clock.advance(denied.retry_after)
    assert limiter.check("ann", 1) and limiter.peek("ben").remaining == 1
    assert len(limiter) == 2 and limiter and limiter.keyed is True
    assert not RateLimiter("1/s").__len__() and RateLimiter("1/s"), "one without keys is no false one"
    limiter.refund("ann")
    limiter.penalize("ben", timedelta(seconds=90))
    assert limiter.peek("ann").remaining == 1 and limiter.check("ben").retry_after == pytest.approx(90 + 30, abs=0.01)
    limiter.reset("ben")
    assert limiter.peek("ben").remaining == 2
    limiter.reset_all()
    assert len(limiter) == 0
    stats = limiter.stats()
    assert (stats.admitted, stats.denied, stats.would_deny, stats.blocked) == (5, 3, 0, 0)
    assert (limiter.evictions, limiter.overflowed) == (stats.evictions, stats.overflowed) == (0, 0)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("ann", b"ann", True),
        ("", b"", True),
        ("é", "é".encode(), True),
        ("\x00", "\x00\x00", False),
        ("a\x00b", "a", False),
        ("\ud800", "\ufffd", True),
        ("\udc00x\ud83d", "\ufffdx\ufffd", True),
        ("퟿", "\ufffd", False),
        ("\U0001f600", "\ud83d\ude00", False),
        (b"\xff\xfe", b"\xff", False),
        (b"\xed\xa0\x80", "\ufffd", False),
        ("x" * 2**20, b"x" * 2**20, True),
        ("x" * 2**20, "x" * (2**20 - 1) + "y", False),
        ("a\r\nSet-Cookie: b", "a", False),
    ],
)
def test_keys_are_bytes_or_the_utf8_of_text(one: Any, other: Any, same: bool) -> None:
    limiter = RateLimiter("1/hour")
    assert limiter.try_acquire(one)
    assert limiter.try_acquire(other) is not same
    assert limiter.check(one).allowed is False


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda limiter: limiter.try_acquire(5), "key: expected a str or bytes, got int"),
        (lambda limiter: limiter.check(None), "key: expected a str or bytes, got NoneType"),
        (lambda limiter: limiter.peek(bytearray(b"x")), "key: expected a str or bytes, got bytearray"),
        (lambda limiter: limiter.try_acquire(), "missing 1 required argument: 'key'"),
        (lambda limiter: limiter.try_acquire("k", 1, None, 4), "takes 1 to 3 arguments"),
        (lambda limiter: limiter.try_acquire("k", "1"), "n: expected an int .*, got str"),
        (lambda limiter: limiter.try_acquire("k", True), "n: expected an int, got bool"),
        (lambda limiter: limiter.check("k", m=1), 'unexpected keyword argument "m"'),
        (lambda limiter: limiter.check("k", key="k"), 'more than one value for argument "key"'),
        (
            lambda limiter: limiter.check("k", tier="pro"),
            "tier: expected what this limiter's tier\\(\\) returned, got str",
        ),
        (lambda limiter: RateLimiter.try_acquire(TokenBucket("1/s"), "k"), "RateLimiter"),  # type: ignore[arg-type]
    ],
)
def test_wrong_calls_say_what_would_do(call: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        call(RateLimiter("5/s"))


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        (("5/s;100/min",), {}, ConfigError, "rate: .* holds 2 rates and a limit has one.*LimitSet"),
        (("often",), {}, ConfigError, "rate: "),
        (("5/s",), {"algorithm": "gcra"}, ConfigError, 'algorithm: "gcra" is not "token_bucket", "fixed_window"'),
        (("5/s",), {"algorithm": "fixed_window", "burst": 9}, ConfigError, "burst: a fixed_window .* has no burst"),
        (("5/s",), {"algorithm": "leaky_bucket", "burst": 9}, ConfigError, "burst: .*queue="),
        (("5/s",), {"queue": 9}, ConfigError, "queue: only a leaky bucket makes calls wait"),
        (("5/s",), {"max_keys": 0}, ConfigError, "max_keys: .*1 to 100000000"),
        (("5/s",), {"max_keys": 1.5}, TypeError, "max_keys: expected a whole number, 1 to 100000000, got float"),
        (("5/s",), {"warm_up_from": 0.5}, ConfigError, "warm_up_from: only with warm_up"),
        (("5/s",), {"warm_up": 5, "warm_up_from": 0}, ConfigError, "warm_up_from: "),
        (("5/s",), {"fastest": "x"}, ConfigError, "fastest: rate: "),
        (("5/s",), {"block": 5}, TypeError, "block"),
        (("5000/s",), {"algorithm": "sliding_log"}, ConfigError, "rate: 5000/s is more than the 4096 that"),
        (("5000000/day",), {}, ConfigError, "burst: 5000000 is not within 1 to 1048576: .* can be had"),
        (("5000000/day",), {"algorithm": "leaky_bucket"}, ConfigError, "queue: 4999999 is not within 0 to 1048575: "),
    ],
)
def test_wrong_settings_say_what_would_do(arguments: Any, options: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        RateLimiter(*arguments, **options)


def test_tiers(clock: ManualClock) -> None:
    limiter = RateLimiter("10/minute", fastest=("100/minute", 100), clock=clock)
    pro, other = limiter.tier("100/minute"), RateLimiter("10/minute", clock=clock).tier("5/minute")
    assert (pro.count, pro.period, pro.burst) == (100, 60.0, 100)
    assert limiter.check("ann", 50, pro) and not limiter.check("ben", 50)
    assert limiter.try_acquire("ann", 50, tier=pro) and limiter.peek("ann", pro).remaining == 0
    limiter.refund("ann", 5, pro)
    assert limiter.check("ann", 5, tier=pro)
    with pytest.raises(ConfigError, match="tier: made by another limiter"):
        limiter.check("ann", 1, other)
    with pytest.raises(ConfigError, match="fastest"):
        RateLimiter("1/hour").tier("100000/s")
    limiter.set_quota("20/minute")
    assert limiter.burst == 20 and limiter.peek("new").limit == 20


def test_quotas_by_turns_on_one_key_are_one_limit(clock: ManualClock) -> None:
    limiter = RateLimiter("5/minute", fastest="60/s", clock=clock)
    fast = limiter.tier("60/s")
    admitted = sum(limiter.try_acquire("key") + limiter.try_acquire("key", 1, fast) for _ in range(500))
    assert 5 <= admitted <= 60
    assert not limiter.check("key") and limiter.peek("key", fast).remaining == 0
    clock.advance(0.5)
    # Half of sixty is half of five; a change of quota is rounded up.
    assert limiter.peek("key", fast).remaining in (29, 30) and limiter.peek("key").remaining == 2


def test_an_eighth_time_to_fill_has_a_smaller_burst() -> None:
    limiter = RateLimiter(10, fastest="100/s")
    tiers = [limiter.tier(10, 1, burst) for burst in range(20, 90, 10)]
    assert [tier.burst for tier in tiers] == [20, 30, 40, 50, 60, 70, 70]


def test_blocks(clock: ManualClock) -> None:
    block = Block(after=3, within=60, duration=timedelta(minutes=5), growth=2)
    limiter = RateLimiter("1/minute", block=block, clock=clock)
    assert [limiter.try_acquire("bot") for _ in range(4)] == [True, False, False, False]
    # The block, and then a bucket that refills from empty.
    assert limiter.peek("bot").retry_after == pytest.approx(360, abs=0.01) and limiter.stats().blocked == 1
    assert pickle.loads(pickle.dumps(block)) == block != Block(3, 60, 301)
    assert repr(block) == "Block(after=3, within=60.0, duration=300.0, growth=2.0, max=None)"
    for wrong, message in [((0, 1, 1), "^after: "), ((1, 0, 1), "^within: "), ((1, 1, 2, 1, 1), "^max: .*duration"),
                           ((1, 1, 1, 0.5), "^growth: ")]:  # fmt: skip
        with pytest.raises(ConfigError, match=message):
            Block(*wrong)


def test_a_leaky_bucket_paces(clock: ManualClock) -> None:
    limiter = RateLimiter("10/s", algorithm="leaky_bucket", queue=2, clock=clock)
    assert [round(limiter.check("k").delay, 6) for _ in range(3)] == [0.0, 0.1, 0.2]
    assert not limiter.check("k") and not limiter.try_acquire("k")

    async def scene() -> list[int]:
        served: list[int] = []

        async def call(n: int) -> None:
            await limiter.acquire_async("other")
            served.append(n)

        tasks = [asyncio.ensure_future(call(n)) for n in range(3)]
        await asyncio.sleep(0.01)
        assert served == [0]
        with pytest.raises(RateLimitedError) as caught:
            await limiter.acquire_async("other", timeout=0.05)
        assert caught.value.retry_after == pytest.approx(0.1)
        tasks[2].cancel()
        await asyncio.sleep(0.01)
        assert limiter.check("other").delay == pytest.approx(0.2), "a cancelled wait gives its place back"
        clock.advance(0.1)
        await tasks[1]
        return served

    assert run(scene()) == [0, 1]
    with pytest.raises(RateLimitedError, match=r"\(10/s, burst \d+\) refused 1 token: try again in"):
        limiter.acquire("third", timeout=0) or limiter.acquire("third", timeout=0)
    assert limiter.peek("third").delay == pytest.approx(0.1), "what did not wait took nothing"


def test_waiting_by_key(clock: ManualClock) -> None:
    limiter = RateLimiter("1/minute", clock=clock)
    limiter.acquire("ann")
    with pytest.raises(RateLimitedError) as caught:
        limiter.acquire("ann", timeout=59)
    assert caught.value.retry_after == 60.0 and limiter.peek("ann").remaining == 0
    with pytest.raises(
        RateLimitedError,
        match=r"^limiter \(1/min\) refused 2 tokens, and never gives more than 1 at once: do not try again$",
    ) as caught:
        limiter.acquire("ann", 2)
    assert math.isinf(caught.value.retry_after)
    waiting = Thread(lambda: limiter.acquire("ann", timeout=60))
    wait_until(lambda: limiter.stats().denied >= 3)
    assert waiting.is_alive()
    clock.advance(60)
    waiting.finish()

    async def scene() -> None:
        task = asyncio.ensure_future(limiter.acquire_async("ann"))
        await asyncio.sleep(0.01)
        task.cancel()
        clock.advance(60)
        await limiter.acquire_async("ann", timeout=0)

    run(scene())
    for wrong in (lambda: limiter.acquire(5), lambda: limiter.acquire("k", timeout="5")):  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            wrong()


def test_warm_up_dry_run_and_disabled(clock: ManualClock) -> None:
    warming = RateLimiter("100/s", warm_up=10, warm_up_from=0.5, clock=clock)
    assert warming.check("k").limit == 50
    clock.advance(10)
    assert warming.check("k").limit == 100
    watched = [RateLimiter("1/hour", dry_run=True, clock=clock), TokenBucket("1/hour", dry_run=True, clock=clock)]
    assert watched[0].try_acquire("k") and watched[0].try_acquire("k") and watched[0].check("k")
    assert watched[1].try_acquire() and watched[1].try_acquire() and watched[1].check()
    assert [limit.stats().would_deny for limit in watched] == [2, 2]
    off = RateLimiter("1/hour", enabled=False)
    assert all(off.try_acquire("k") for _ in range(10)) and len(off) == 0
    assert all(TokenBucket("1/hour", enabled=False).try_acquire() for _ in range(10))
    assert TokenBucket("100/s", warm_up=10, clock=clock).check().limit == 10


@pytest.mark.parametrize(("value", "off"), [("1", True), ("true", True), ("0", False), ("", False)])
def test_the_environment_disables(value: str, off: bool) -> None:
    code = "import tidegate as t; l = t.RateLimiter('1/hour'); b = t.TokenBucket('1/hour')\n"
    code += (
        f"assert [l.try_acquire('k') for _ in range(2)][1] is {off} and [b.try_acquire() for _ in range(2)][1] is {off}"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={"TIDEGATE_DISABLED": value, "PATH": "/usr/bin"})


def everything(clock: ManualClock) -> LimitSet:
    return LimitSet(
        user=RateLimiter("3/minute", clock=clock),
        ip=RateLimiter("5/minute", clock=clock),
        everyone=TokenBucket("100/minute", clock=clock),
    )


def test_a_set_is_all_or_nothing(clock: ManualClock) -> None:
    limits = everything(clock)
    assert all(limits.check(user="u1", ip="192.0.2.1") for _ in range(3))
    denied = limits.check({"user": "u1", "ip": "192.0.2.1"}, n=1)
    assert (denied.allowed, denied.denied_by, denied.retry_after) == (False, "user", 20.0)
    assert limits.peek(user="u2", ip="192.0.2.1").remaining == 2, "a denied call took nothing of the address"
    assert limits.check({"user": "u2"}, ip="192.0.2.1", n=2) and not limits.try_acquire(user="u3", ip="192.0.2.1")
    limits.refund(user="u2", ip="192.0.2.1", n=2)
    assert limits.try_acquire(user="u3", ip="192.0.2.1")
    decision, each = limits.check_each(user="u9", ip="192.0.2.9")
    assert decision.allowed and decision.denied_by is None
    assert {name: own.remaining for name, own in each.items()} == {"user": 2, "ip": 4, "everyone": 95}
    assert list(limits.limits) == ["user", "ip", "everyone"] and limits.clock is clock
    assert pickle.loads(pickle.dumps(denied)) == denied
    assert 'denied_by="user"' in repr(denied) and Decision(True, 1, 1, 0.0, 0.0).denied_by is None


def test_refusals_name_the_limiter_and_the_quota_that_refused(clock: ManualClock) -> None:
    orders = RateLimiter("2/s", name="orders", clock=clock)
    orders.acquire("ann", 2)
    with pytest.raises(RateLimitedError) as caught:
        orders.acquire("ann", timeout=0)
    assert str(caught.value) == 'limiter "orders" (2/s) refused 1 token: try again in 0.5 s'
    with pytest.raises(RateLimitedError) as caught:
        run(orders.acquire_async("bob", 9, tier=orders.tier("1/s", burst=4)))
    text = 'limiter "orders" (1/s, burst 4) refused 9 tokens, and never gives more than 4 at once: do not try again'
    assert str(caught.value) == text


def test_a_set_waits_for_all(clock: ManualClock) -> None:
    limits = everything(clock)
    limits.acquire(user="u1", ip="a", n=3)
    with pytest.raises(RateLimitedError) as caught:
        limits.acquire({"user": "u1", "ip": "a"}, timeout=5)
    assert (caught.value.denied_by, caught.value.retry_after) == ("user", 20.0)
    assert str(caught.value) == 'limiter "user" (3/min) refused 1 token within 5 s: try again in 20 s'
    twin = pickle.loads(pickle.dumps(caught.value))
    assert (twin.denied_by, twin.retry_after, str(twin)) == ("user", 20.0, str(caught.value))

    async def scene() -> None:
        task = asyncio.ensure_future(limits.acquire_async(user="u1", ip="a"))
        await asyncio.sleep(0.01)
        assert not task.done()
        clock.advance(20)
        await task

    run(scene())


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda s: s.check(user="u"), TypeError, 'keys: "ip" is missing; this set takes one for each of user, ip'),
        (lambda s: s.check(user="u", ip="i", everyone="e"), TypeError, "keys: 3 were given"),
        (lambda s: s.check({"user": "u", "ip": "i", "x": "y"}), TypeError, "keys: 3 were given"),
        (lambda s: s.check("u"), TypeError, "keys: expected a mapping"),
        (lambda s: s.check(user="u", ip=5), TypeError, "key: expected a str or bytes, got int"),
        (lambda s: s.check(user="u", ip="i", n=-1), ConfigError, "n: must be a whole number"),
        (lambda s: LimitSet(), ConfigError, "members"),
        (lambda s: LimitSet(n=TokenBucket("1/s")), ConfigError, '"n" is the cost'),
        (lambda s: LimitSet(a=5), TypeError, "a: expected a RateLimiter or a TokenBucket, got int"),
        (lambda s: LimitSet([1]), TypeError, "limits: expected a mapping"),
        (lambda s: LimitSet(a=TokenBucket("1/s"), b=TokenBucket("1/s", clock=ManualClock())), ConfigError, "clock"),
    ],
)
def test_wrong_sets_say_what_would_do(call: Any, error: Any, message: str, clock: ManualClock) -> None:
    with pytest.raises(error, match=message):
        call(everything(clock))


@pytest.mark.parametrize("keys", ["u", ["user"], {"user": "u"}, {"user": "u", 5: "i"}, {"user": "u", "ip": ["i"]}])
def test_what_waits_takes_the_keys_of_what_does_not(keys: Any, clock: ManualClock) -> None:
    limits = everything(clock)
    said = []
    for call in (limits.check, limits.acquire, lambda keys: run(limits.acquire_async(keys))):
        with pytest.raises(TypeError) as caught:
            call(keys)
        said.append(str(caught.value))
    assert said == said[:1] * 3 and said[0].startswith("key")


def test_a_set_with_a_leaky_bucket_says_no_where_it_would_wait(clock: ManualClock) -> None:
    limits = LimitSet(
        paced=RateLimiter("10/s", algorithm="leaky_bucket", clock=clock), all=TokenBucket("9/s", clock=clock)
    )
    assert limits.try_acquire(paced="k") and not limits.try_acquire(paced="k")
    assert limits.check(paced="k").delay == pytest.approx(0.1)
    assert limits.limits["all"].peek().remaining == 7, "the refusal took nothing"


def test_threads_admit_exactly_the_limit() -> None:
    limiter = RateLimiter("1/day", burst=1000)
    threads = [Thread(lambda: sum(limiter.try_acquire("k") for _ in range(400))) for _ in range(4)]
    assert sum(thread.finish() for thread in threads) == 1000
    limits = LimitSet(user=RateLimiter("1/day", burst=1000), everyone=TokenBucket("1/day", burst=1500))
    threads = [Thread(lambda n=n: sum(limits.try_acquire(user=f"u{n % 2}") for _ in range(600))) for n in range(4)]
    raced = sum(thread.finish() for thread in threads)
    # What a race denied is still there.
    assert raced <= 1500 and raced + sum(limits.try_acquire(user=f"u{n % 2}") for n in range(4000)) == 1500


def test_a_flood_of_keys_takes_no_memory_and_no_limits() -> None:
    limiter = RateLimiter("5/hour", max_keys=1000)
    memory = limiter.memory
    assert limiter.check("real", 3)
    for n in range(30_000):
        limiter.try_acquire(f"flood {n}")
    assert limiter.memory == memory and limiter.overflowed > 0
    assert limiter.peek("real").remaining == 2


def test_nothing_is_leaked(clock: ManualClock) -> None:
    def work() -> None:
        limiter = RateLimiter("5/s", max_keys=100, clock=clock)
        limits = LimitSet(a=limiter, b=TokenBucket("9/s", clock=clock))
        tier = limiter.tier("4/s")
        for key in ("k", b"k", "\ud800", "é"):
            limiter.try_acquire(key)
            limiter.check(key, 1, tier)
            limits.check(a=key)
            limits.check_each({"a": key})
        for wrong in (5, None):
            with pytest.raises(TypeError):
                limiter.try_acquire(wrong)  # type: ignore[arg-type]
            with pytest.raises(TypeError):
                limits.check(a=wrong)  # type: ignore[arg-type]
        with pytest.raises((TypeError, ConfigError)):
            limiter.check("k", 10**30)

    for _ in range(20):
        work()
    gc.collect()
    before, growth = sys.getallocatedblocks(), 0
    for _ in range(40):
        for _ in range(50):
            work()
        gc.collect()
        growth, before = sys.getallocatedblocks() - before, sys.getallocatedblocks()
        if growth < 10:
            break
    assert growth < 10
    key = "a key of its own"
    limiter, count = RateLimiter("5/s"), sys.getrefcount(key)
    for _ in range(100):
        limiter.try_acquire(key)
        limiter.check(key)
    assert sys.getrefcount(key) == count


def test_sets_and_tiers_are_collected() -> None:
    class Mine(RateLimiter):
        pass

    limiter = Mine("5/s")
    limits, tier, ref = LimitSet(a=limiter), limiter.tier("4/s"), weakref.ref(limiter)
    limiter.mine = (limits, tier)  # type: ignore[attr-defined]
    del limiter, limits, tier
    gc.collect()
    assert ref() is None, "a cycle through a set and a tier"
    shown = 'Mine(5, per=1.0, burst=5, max_keys=100000, algorithm="token_bucket", admitted=0, denied=0)'
    assert repr(Mine("5/s")) == shown
