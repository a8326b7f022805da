"""TokenBucket: what it admits, how it waits, and what it says to wrong arguments."""

from __future__ import annotations

import asyncio
import inspect
import math
import os
import pickle
import signal
import threading
import weakref
from datetime import timedelta

import pytest
import tidegate
from conftest import Thread, run, wait_until
from tidegate import ConfigError, Decision, ManualClock, RateLimitedError, TokenBucket


def test_takes_the_burst_then_refills_at_the_rate(clock: ManualClock) -> None:
    bucket = TokenBucket("10/s", burst=3, clock=clock)
    assert [bucket.try_acquire() for _ in range(4)] == [True, True, True, False]
    clock.advance(0.1)
    assert [bucket.try_acquire(), bucket.try_acquire()] == [True, False]
    assert bucket.stats() == bucket.stats()
    assert (bucket.stats().admitted, bucket.stats().denied) == (4, 2)


@pytest.mark.parametrize(
    ("args", "count", "period", "burst"),
    [
        (("400/s",), 400, 1.0, 400),
        (("100/minute",), 100, 60.0, 100),
        (("5 per 15 minutes",), 5, 900.0, 5),
        ((400,), 400, 1.0, 400),
        ((400, 60), 400, 60.0, 400),
        ((400, timedelta(minutes=1), 7), 400, 60.0, 7),
        ((0.5,), 1, 2.0, 1),
        ((2.5, 1.0, 10), 5, 2.0, 10),
    ],
)
def test_rates_as_text_and_as_numbers(args: tuple, count: int, period: float, burst: int) -> None:
    bucket = TokenBucket(*args)
    assert bucket.count / bucket.period == pytest.approx(count / period)
    assert bucket.burst == burst


def test_decision_tells_everything(clock: ManualClock) -> None:
    bucket = TokenBucket(10, per=1.0, burst=2, clock=clock)
    first, second, third = bucket.check(), bucket.check(1), bucket.check(n=1)
    assert first == Decision(True, 2, 1, 0.0, 0.1)
    assert second == Decision(True, 2, 0, 0.0, 0.2)
    assert third == Decision(False, 2, 0, 0.1, 0.2)
    assert first and not third
    assert bucket.check(3).retry_after == math.inf
    assert bucket.peek() == Decision(False, 2, 0, 0.1, 0.2)
    assert repr(third) == "Decision(allowed=False, limit=2, remaining=0, retry_after=0.1, reset_after=0.2)"
    assert pickle.loads(pickle.dumps(third)) == third
    with pytest.raises(AttributeError):
        third.allowed = True  # type: ignore[misc]


def test_reserve_and_cancel(clock: ManualClock) -> None:
    bucket = TokenBucket("10/s", burst=1, clock=clock)
    assert bucket.try_acquire()
    booking = bucket.reserve(1)
    assert booking and booking.wait == 0.1 and booking.retry_after == 0.0
    assert isinstance(booking.ticket, tuple)
    refused = bucket.reserve(1, max_wait=0.15)
    assert not refused and refused.retry_after == pytest.approx(0.2) and refused.ticket is None
    assert not refused.cancel()
    assert booking.cancel()
    assert not booking.cancel(), "a second cancel gives nothing"
    assert bucket.reserve(1, max_wait=timedelta(milliseconds=100)).wait == 0.1
    assert bucket.reserve(2).retry_after == math.inf


def test_refund_penalize_reset_set_quota(clock: ManualClock) -> None:
    bucket = TokenBucket("10/s", clock=clock)
    assert bucket.try_acquire(10)
    bucket.refund(4)
    assert bucket.peek().remaining == 4
    bucket.penalize(timedelta(seconds=5))
    assert bucket.peek().retry_after == pytest.approx(5.1)
    bucket.reset()
    assert bucket.peek().remaining == 10
    bucket.set_quota("100/s", burst=4)
    assert (bucket.count, bucket.burst, bucket.peek().remaining) == (100, 4, 4)
    bucket.set_quota(5, per=timedelta(seconds=2))
    assert (bucket.count, bucket.period, bucket.burst) == (5, 2.0, 5)


def test_acquire_blocks_until_the_tokens_are_there(clock: ManualClock) -> None:
    bucket = TokenBucket("1/s", clock=clock)
    bucket.acquire()
    waiter = Thread(lambda: bucket.acquire(timeout=10))
    wait_until(lambda: bucket.peek().retry_after > 1.0)
    clock.advance(0.999)
    waiter.join(0.05)
    assert waiter.is_alive(), "a millisecond is missing"
    clock.advance(0.001)
    waiter.finish()


def test_acquire_beyond_its_timeout_fails_at_once_and_takes_nothing(clock: ManualClock) -> None:
    bucket = TokenBucket("1/s", clock=clock)
    bucket.acquire()
    before = bucket.peek()
    with pytest.raises(RateLimitedError, match=r"^bucket \(1/s\) refused 1 token within 0.5 s: try again") as caught:
        bucket.acquire(timeout=0.5)
    assert caught.value.retry_after == 1.0
    with pytest.raises(RateLimitedError, match=r"refused 2 tokens, and never gives more than 1 at once") as caught:
        bucket.acquire(2)
    assert caught.value.retry_after == math.inf
    with pytest.raises(RateLimitedError):
        run(bucket.acquire_async(timeout=0.5))
    assert bucket.peek() == before


def test_cancelled_acquire_gives_its_booking_back(clock: ManualClock) -> None:
    bucket = TokenBucket("1/s", clock=clock)
    bucket.acquire()

    async def scene() -> None:
        task = asyncio.create_task(bucket.acquire_async())
        while bucket.peek().retry_after < 2.0:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert bucket.peek().retry_after == 1.0
        other = asyncio.create_task(bucket.acquire_async(1, timeout=5))
        await asyncio.sleep(0)
        clock.advance(1)
        await other

    run(scene())


@pytest.mark.skipif(os.name != "posix", reason="sends a POSIX signal")
def test_ctrl_c_ends_a_blocking_acquire_and_returns_the_booking(ctrl_c: None) -> None:
    bucket = TokenBucket("1/hour")
    bucket.acquire()
    before = bucket.peek().retry_after
    # That the timer's thread gets to run also shows that the wait holds nobody else up.
    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        bucket.acquire()
    assert bucket.peek().retry_after <= before


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: TokenBucket("0/s"), ConfigError, "rate: "),
        (lambda: TokenBucket(0), ConfigError, "rate: "),
        (lambda: TokenBucket(-1), ConfigError, "rate: -1 is not within 1 token in 36 years to"),
        (lambda: TokenBucket(-0.5), ConfigError, "rate: .*positive"),
        (lambda: TokenBucket(math.nan), ConfigError, "rate: .*finite"),
        (lambda: TokenBucket(math.inf), ConfigError, "rate: .*finite"),
        (lambda: TokenBucket(10**30), ConfigError, "rate: "),
        (lambda: TokenBucket(10**10), ConfigError, "rate: "),
        (lambda: TokenBucket(1e300), ConfigError, "rate: "),
        (lambda: TokenBucket(10**5000), ConfigError, "more than 40 digits"),
        (lambda: TokenBucket("fast"), ConfigError, "rate: "),
        (lambda: TokenBucket(""), ConfigError, "rate: "),
        (lambda: TokenBucket("\ud800/s"), ConfigError, "rate: "),
        (lambda: TokenBucket("5/s", per=2), ConfigError, "per: the rate already names its period"),
        (lambda: TokenBucket(5, per=0), ConfigError, "per: 0 s is not within 0.000000001 s to"),
        (lambda: TokenBucket(5, per=-1), ConfigError, "per: -1.0 s is not within"),
        (lambda: TokenBucket(5, per=math.nan), ConfigError, "per: NaN s is not within"),
        (lambda: TokenBucket(5, per=math.inf), ConfigError, "per: inf s is not within"),
        (lambda: TokenBucket(5, per=timedelta(days=-1)), ConfigError, "per: -1 day, 0:00:00 is not within"),
        (lambda: TokenBucket("5/s", burst=0), ConfigError, "burst: "),
        (lambda: TokenBucket("5/s", burst=-1), ConfigError, "burst: "),
        (lambda: TokenBucket("5/s", burst=2**32), ConfigError, "burst: "),
        (lambda: TokenBucket("1/year", burst=1000), ConfigError, "burst: .*36 years"),
        (lambda: TokenBucket("5/s", burst=1.5), TypeError, "burst: .*, 1 to 4294967295, got float"),
        (lambda: TokenBucket(True), TypeError, "rate: expected .* got bool"),
        (lambda: TokenBucket(None), TypeError, "rate: expected .* got NoneType"),
        (lambda: TokenBucket([1]), TypeError, "rate: expected .* got list"),
        (lambda: TokenBucket(5, per="1"), TypeError, "per: expected seconds .* got str"),
        (lambda: TokenBucket("5/s", clock="now"), TypeError, "ManualClock"),
        (lambda: TokenBucket(), TypeError, "rate"),
        (
            lambda: TokenBucket("5/s").try_acquire(-1),
            ConfigError,
            "n: must be a whole number from 0 to 4294967295, got -1",
        ),
        (lambda: TokenBucket("5/s").try_acquire(2**32), ConfigError, "n: must be"),
        (lambda: TokenBucket("5/s").try_acquire(10**5000), ConfigError, "n: must be .*more than 40 digits"),
        (lambda: TokenBucket("5/s").try_acquire(1.0), TypeError, "n: expected an int, got float"),
        (lambda: TokenBucket("5/s").try_acquire(True), TypeError, "n: expected an int, got bool"),
        (lambda: TokenBucket("5/s").try_acquire("1"), TypeError, "n: expected an int .one limit for each key"),
        (lambda: TokenBucket("5/s").check(-1), ConfigError, "n: must be"),
        (lambda: TokenBucket("5/s").refund(-1), ConfigError, "n: must be"),
        (lambda: TokenBucket("5/s").reserve(1, -1), ConfigError, "max_wait: must be 0 or more"),
        (lambda: TokenBucket("5/s").reserve(1, "x"), TypeError, "max_wait: expected seconds"),
        (lambda: TokenBucket("5/s").penalize(math.inf), ConfigError, "wait: must be a finite"),
        (lambda: TokenBucket("5/s").penalize(1e300), ConfigError, "wait: .*584 years"),
        (lambda: TokenBucket("5/s").acquire(timeout=-1), ConfigError, "timeout: must be 0 or more"),
        (lambda: TokenBucket("5/s").acquire(timeout=math.nan), ConfigError, "timeout: must be 0 or more"),
        (lambda: TokenBucket("5/s").acquire(timeout="1"), TypeError, "timeout: expected seconds"),
        (lambda: TokenBucket("5/s").acquire(timeout=True), TypeError, "timeout: expected seconds"),
        (lambda: TokenBucket("5/s").acquire(n=-1), ConfigError, "n: must be"),
        (lambda: ManualClock().advance(-1), ConfigError, "seconds: must be 0 or more"),
        (lambda: ManualClock(-1), ConfigError, "start_ns: must be a whole number from 0"),
        (lambda: ManualClock(1.5), TypeError, "start_ns: expected an int"),
        (lambda: ManualClock().set_ns(2**64), ConfigError, "now_ns: must be"),
    ],
)
def test_wrong_arguments_say_what_would_do(make, error, message) -> None:
    with pytest.raises(error, match=message) as caught:
        make()
    if error is ConfigError:
        assert isinstance(caught.value, ValueError)


def test_zero_cost_takes_nothing(clock: ManualClock) -> None:
    bucket = TokenBucket("1/s", clock=clock)
    assert bucket.try_acquire(0) and bucket.try_acquire() and bucket.try_acquire(0)
    bucket.penalize(1)
    assert not bucket.try_acquire(0)


def test_a_clock_that_steps_back_denies_and_heals(clock: ManualClock) -> None:
    bucket = TokenBucket("10/s", burst=1, clock=clock)
    assert bucket.try_acquire()
    clock.set_ns(0)
    assert not bucket.try_acquire()
    clock.set_ns(5_000_000_000_000 + 100_000_000)
    assert bucket.try_acquire()


def test_subclasses_and_detached_methods() -> None:
    class Named(TokenBucket):
        label = "orders"

    bucket = Named("1/hour")
    take = bucket.try_acquire
    assert take() and not take() and bucket.label == "orders"
    with pytest.raises(TypeError):
        TokenBucket.try_acquire()  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        TokenBucket.try_acquire(object())  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="pickle"):
        pickle.dumps(bucket)
    assert weakref.ref(bucket)() is bucket
    assert repr(bucket) == "Named(1, per=3600.0, burst=1, remaining=0, admitted=1, denied=1)"


def test_try_acquire_by_position_and_by_name() -> None:
    bucket = TokenBucket("1/hour", burst=10)
    assert bucket.try_acquire() and bucket.try_acquire(2) and bucket.try_acquire(n=3)
    assert bucket.peek().remaining == 4
    for wrong in (
        lambda: bucket.try_acquire(1, 2),
        lambda: bucket.try_acquire(m=1),
        lambda: bucket.try_acquire(1, n=1),
    ):
        with pytest.raises(TypeError, match=r"TokenBucket.try_acquire\(\)"):
            wrong()
    with pytest.raises(TypeError, match="n: expected an int, got NoneType"):
        bucket.try_acquire(None)  # type: ignore[arg-type]
    assert str(inspect.signature(TokenBucket.try_acquire)) == "(self, /, n=1)"
    assert bucket.try_acquire.__doc__ and "refused only in debt" in bucket.try_acquire.__doc__


def test_threads_never_over_admit() -> None:
    bucket = TokenBucket("1/hour", burst=1000)
    workers = [Thread(lambda: sum(bucket.try_acquire() for _ in range(2000))) for _ in range(4)]
    assert sum(worker.finish() for worker in workers) == 1000


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_child_has_a_copy_of_its_own() -> None:
    bucket = TokenBucket("1/hour", burst=3)
    assert bucket.try_acquire()
    child = os.fork()
    if child == 0:
        # Two are left in the child's copy; no assertion may unwind into pytest here.
        os._exit(0 if [bucket.try_acquire() for _ in range(3)] == [True, True, False] else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert bucket.peek().remaining == 2, "what the child took is the child's"


def test_version_follows_the_package() -> None:
    from importlib.metadata import version

    assert tidegate.__version__ == version("tidegate")
