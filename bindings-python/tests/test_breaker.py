"""CircuitBreaker: permits, decorators, filters, and what it says to wrong arguments. (The vectors hold it to the
model.)
"""

from __future__ import annotations

import asyncio
import functools
import gc
import inspect
import math
import pickle
import weakref
from datetime import timedelta
from typing import Any

import pytest
from conftest import Thread, run
from tidegate import CircuitBreaker, CircuitOpenError, ConfigError, ManualClock, QueueFullError, RateLimitedError, Trip


def trips_after(failures: int, clock: ManualClock | None = None, **config) -> CircuitBreaker:
    return CircuitBreaker("payment", consecutive_failures=failures, clock=clock, **config)


def fail(error: BaseException | type[BaseException] = OSError):
    raise error


def test_opens_refuses_probes_and_closes(clock: ManualClock) -> None:
    breaker = trips_after(2, clock, cooldown=5)
    for _ in range(2):
        with pytest.raises(OSError):
            breaker.call(fail)
    assert breaker.state == "open"
    clock.advance(1)
    with pytest.raises(CircuitOpenError) as caught:
        breaker.call(print, "never")
    assert caught.value.retry_after == 4.0 and caught.value.breaker == "payment"
    assert str(caught.value) == 'circuit "payment" is open (2 of 2 calls failed): try again in 4 s'
    assert breaker.try_acquire() is None and breaker.retry_after == 4.0
    clock.advance(4)
    assert breaker.call(lambda a, b=0: a + b, 1, b=2) == 3
    assert breaker.state == "closed"
    kinds = [event.kind for event in breaker.events()]
    assert kinds == ["opened", "half_opened", "probe_succeeded", "closed"]
    assert [event.seq for event in breaker.events(since=2)] == [2, 3]
    stats = breaker.stats()
    assert (stats.opened, stats.rejected, stats.calls) == (1, 2, 0)


def test_permit_reports_how_the_block_ended() -> None:
    breaker = CircuitBreaker(window_calls=10)
    with breaker.acquire():
        pass
    with pytest.raises(OSError), breaker.acquire():
        raise OSError
    with breaker.acquire() as permit:
        permit.failure()
        permit.success()
    permit.failure()
    assert "reported=True" in repr(permit)
    with breaker.acquire() as permit:
        permit.ignore()
    stats = breaker.stats()
    assert (stats.calls, stats.failed) == (3, 2), "the first report of a permit counts, later ones do nothing"


def test_slow_calls_and_given_durations() -> None:
    breaker = CircuitBreaker(slow_call_duration=0.5, slow_call_rate_threshold=1.0, min_calls=2, window_calls=4)
    breaker.acquire().success(duration=0.499)
    breaker.acquire().success(duration=timedelta(seconds=0.5))
    assert (breaker.stats().slow, breaker.stats().slow_call_rate) == (1, 0.5)


def test_the_servers_own_retry_after_sets_the_cooldown(clock: ManualClock) -> None:
    breaker = trips_after(1, clock, cooldown=5, max_cooldown=60)
    breaker.acquire().failure(retry_after=20)
    assert breaker.retry_after == 20.0


@pytest.mark.parametrize("ending", [asyncio.CancelledError, KeyboardInterrupt, GeneratorExit, SystemExit])
def test_what_is_no_exception_is_neutral(clock: ManualClock, ending: type[BaseException]) -> None:
    breaker = trips_after(1, clock, cooldown=1)
    with pytest.raises(ending):
        breaker.call(fail, ending)
    assert breaker.state == "closed" and breaker.stats().calls == 0
    breaker.acquire().failure()
    clock.advance(1)
    with pytest.raises(ending), breaker.acquire():
        raise ending
    assert breaker.state == "half_open"
    assert breaker.try_acquire() is not None, "the probe's slot came back"


@pytest.mark.parametrize("refusal", [RateLimitedError(), QueueFullError(), CircuitOpenError("other", 1.0)])
def test_local_refusals_never_count(refusal: Exception) -> None:
    breaker = CircuitBreaker("outer", consecutive_failures=1, failure_on=Exception)
    with pytest.raises(type(refusal)):
        breaker.call(fail, refusal)
    assert (breaker.state, breaker.stats().calls) == ("closed", 0)


def test_filters() -> None:
    breaker = CircuitBreaker(failure_on=(OSError, ValueError), ignore=FileNotFoundError)
    for error in (ConnectionError, ValueError, FileNotFoundError, KeyError):
        with pytest.raises(error):
            breaker.call(fail, error)
    assert (breaker.stats().calls, breaker.stats().failed) == (3, 2), "KeyError: an answer, so a success"

    class HTTPError(Exception):
        status = 500

    class NotFoundError(HTTPError):
        status = 404

    breaker = CircuitBreaker(ignore=lambda error: getattr(error, "status", 500) < 500)
    for error in (HTTPError, NotFoundError):
        with pytest.raises(error):
            breaker.call(fail, error)
    assert (breaker.stats().calls, breaker.stats().failed) == (1, 1)


def test_a_filter_that_raises_is_a_failure_and_heard() -> None:
    breaker = CircuitBreaker(failure_on=lambda error: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        breaker.call(fail)
    with pytest.raises(ZeroDivisionError) as caught, breaker.acquire():
        raise OSError
    assert isinstance(caught.value.__context__, OSError)
    assert breaker.stats().failed == 2


def test_decorated_functions_keep_their_face() -> None:
    breaker = trips_after(1)

    @breaker
    def pay(amount: int, *, currency: str = "EUR") -> str:
        """Pays."""
        return f"{amount} {currency}"

    assert pay(5, currency="CHF") == "5 CHF"
    assert (pay.__name__, pay.__doc__, pay.__module__) == ("pay", "Pays.", __name__)
    assert str(inspect.signature(pay)) == "(amount: 'int', *, currency: 'str' = 'EUR') -> 'str'"
    assert inspect.unwrap(pay).__name__ == "pay" and pay.breaker is breaker  # type: ignore[attr-defined]
    assert "under circuit" in repr(pay)
    with pytest.raises(TypeError, match="amount"):
        pay()
    assert breaker.state == "closed", "a wrong call says nothing of what was to be called"


def test_methods_static_and_class_methods() -> None:
    breaker = CircuitBreaker()

    class Client:
        factor = 2

        @breaker
        def twice(self, n: int) -> int:
            return n * self.factor

        @classmethod
        @breaker
        def made(cls, n: int) -> int:
            return n * cls.factor

        @staticmethod
        @breaker
        def plain(n: int) -> int:
            return n

        @breaker
        async def later(self, n: int) -> int:
            return n * self.factor

    client = Client()
    assert (client.twice(2), Client.made(2), client.plain(2), run(client.later(2))) == (4, 4, 2, 4)
    assert breaker.stats().calls == 4


def test_async_functions_stay_async() -> None:
    breaker = trips_after(1)

    @breaker
    async def pay(ok: bool) -> str:
        await asyncio.sleep(0)
        if not ok:
            raise OSError
        return "paid"

    assert inspect.iscoroutinefunction(pay) and asyncio.iscoroutinefunction(pay)
    assert run(pay(True)) == "paid"
    assert run(breaker.call_async(asyncio.sleep, 0, result="slept")) == "slept"
    with pytest.raises(OSError):
        run(pay(False))
    with pytest.raises(CircuitOpenError):
        run(pay(True))
    with pytest.raises(CircuitOpenError):
        run(breaker.call_async(asyncio.sleep, 0))


def test_a_cancelled_call_is_neutral() -> None:
    breaker = trips_after(1)

    @breaker
    async def hang() -> None:
        await asyncio.Event().wait()

    async def scene() -> None:
        task = asyncio.create_task(hang())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(scene())
    assert (breaker.state, breaker.stats().calls) == ("closed", 0)


def test_wrong_things_to_decorate() -> None:
    breaker = CircuitBreaker()

    def numbers():
        yield 1

    async def letters():
        yield "a"

    for generator in (numbers, letters):
        with pytest.raises(TypeError, match="a generator runs while it is iterated"):
            breaker(generator)
    with pytest.raises(TypeError, match="got the class int"):
        breaker(int)
    with pytest.raises(TypeError, match="got int"):
        breaker(5)  # type: ignore[arg-type]

    async def pay() -> None: ...

    with pytest.raises(TypeError, match="use `await breaker.call_async"):
        breaker.call(pay)
    assert breaker.stats().calls == 0
    with pytest.raises(TypeError, match="not callable"):
        breaker.call(None)


def test_switches() -> None:
    breaker = trips_after(1)
    breaker.force_open()
    assert breaker.state == "forced_open" and breaker.retry_after == math.inf
    with pytest.raises(CircuitOpenError, match='circuit "payment" is open until it is reset'):
        breaker.acquire()
    breaker.disable()
    breaker.acquire().failure()
    assert breaker.state == "disabled" and breaker.stats().calls == 0
    breaker.metrics_only()
    breaker.acquire().failure()
    assert breaker.state == "metrics_only" and breaker.stats().failed == 1
    breaker.reset()
    assert breaker.state == "closed" and breaker.stats().calls == 0
    assert repr(breaker) == 'CircuitBreaker("payment", state="closed")'


def test_a_dropped_permit_is_released(clock: ManualClock) -> None:
    breaker = trips_after(1, clock, cooldown=1)
    breaker.acquire().failure()
    clock.advance(1)
    probe = breaker.acquire()
    assert breaker.try_acquire() is None
    del probe
    gc.collect()
    assert breaker.try_acquire() is not None


@pytest.mark.parametrize(
    ("config", "error", "message"),
    [
        ({"failure_rate_threshold": 50}, ConfigError, "failure_rate_threshold: .*did you mean 0.5"),
        ({"failure_rate_threshold": 0}, ConfigError, "failure_rate_threshold: "),
        ({"failure_rate_threshold": -0.1}, ConfigError, "failure_rate_threshold: "),
        ({"failure_rate_threshold": math.nan}, ConfigError, "failure_rate_threshold: "),
        ({"failure_rate_threshold": True}, TypeError, "failure_rate_threshold: .* above 0 and up to 1, got bool"),
        ({"failure_rate_threshold": "half"}, TypeError, "failure_rate_threshold: .* above 0 and up to 1, got str"),
        ({"window_calls": 0}, ConfigError, "window"),
        ({"window_calls": 10**9}, ConfigError, "window"),
        ({"window_calls": -1}, ConfigError, "window_calls: .* is not within 1 to"),
        ({"window_calls": 2.5}, TypeError, "window_calls: expected a whole number, 1 to 65536, got float"),
        ({"window_calls": 5, "window_duration": 5}, ConfigError, "one of the two windows"),
        ({"window_duration": 0}, ConfigError, "window"),
        ({"window_duration": math.inf}, ConfigError, "window_duration: inf s is not within"),
        ({"min_calls": -1}, ConfigError, "min_calls: "),
        ({"slow_call_duration": -1}, ConfigError, "slow_call_duration: .* is not within"),
        ({"slow_call_rate_threshold": 2}, ConfigError, "slow_call_rate_threshold: "),
        ({"consecutive_failures": 0}, ConfigError, "consecutive_failures: "),
        ({"cooldown": -1}, ConfigError, "cooldown: .* is not within"),
        ({"cooldown": math.nan}, ConfigError, "cooldown: .* is not within"),
        ({"cooldown": "5s"}, TypeError, "cooldown: expected seconds"),
        ({"cooldown_backoff": 0.5}, ConfigError, "cooldown_backoff: "),
        ({"cooldown_jitter": 2}, ConfigError, "cooldown_jitter: "),
        ({"cooldown": 10, "max_cooldown": 5}, ConfigError, "max_cooldown: "),
        ({"probes": 0}, ConfigError, "probes: "),
        ({"probe_timeout": 0}, ConfigError, "probe_timeout: "),
        ({"failure_on": 5}, TypeError, "failure_on: expected an exception class"),
        ({"failure_on": int}, TypeError, "failure_on: expected an exception class"),
        ({"ignore": (OSError, 5)}, TypeError, "ignore: expected an exception class"),
        ({"clock": 5}, TypeError, "ManualClock"),
        ({"colour": "red"}, TypeError, "colour"),
    ],
)
def test_wrong_settings_say_what_would_do(config, error, message) -> None:
    with pytest.raises(error, match=message):
        CircuitBreaker("payment", **config)


def test_wrong_reports() -> None:
    permit = CircuitBreaker().acquire()
    with pytest.raises(ConfigError, match="duration: must be 0 or more"):
        permit.success(-1)
    with pytest.raises(TypeError, match="duration: expected seconds"):
        permit.failure("long")
    with pytest.raises(ConfigError, match="retry_after: must be a finite"):
        permit.failure(retry_after=math.inf)
    assert "reported=False" in repr(permit), "a wrong report is none"
    with pytest.raises(TypeError):
        type(permit)()


def test_subclass_pickle_and_weakref() -> None:
    class Payment(CircuitBreaker):
        pass

    breaker = Payment("p")
    assert breaker.call(len, "abc") == 3 and repr(breaker).startswith("Payment(")
    assert weakref.ref(breaker)() is breaker
    with pytest.raises(TypeError, match="pickle"):
        pickle.dumps(breaker)


def test_a_cycle_through_a_filter_is_collected() -> None:
    def make() -> weakref.ref[CircuitBreaker]:
        seen: list[object] = []
        breaker = CircuitBreaker(failure_on=lambda error: bool(seen))
        seen.append(breaker)
        return weakref.ref(breaker)

    alive = make()
    gc.collect()
    assert alive() is None


by_name = CircuitBreaker("by name")


@by_name
def module_level(n: int) -> int:
    return n


def test_a_decorated_function_pickles_by_its_name() -> None:
    assert pickle.loads(pickle.dumps(module_level)) is module_level


def test_a_recursive_decorated_function_is_collected() -> None:
    def make() -> weakref.ref[object]:
        @CircuitBreaker("recursive")
        def countdown(n: int) -> int:
            return countdown(n - 1) if n else 0

        countdown.note = countdown  # type: ignore[attr-defined]
        assert countdown(3) == 0
        return weakref.ref(countdown)

    alive = make()
    gc.collect()
    assert alive() is None


def test_threads_and_decorator_together() -> None:
    breaker = CircuitBreaker(window_calls=100)
    guarded = breaker(functools.partial(int, "7"))
    workers = [Thread(lambda: [guarded() for _ in range(500)]) for _ in range(4)]
    assert all(worker.finish() == [7] * 500 for worker in workers)
    assert breaker.stats().calls == 100


def test_it_tells_what_opened_it_in_its_stats_its_event_and_its_refusal() -> None:
    breaker = CircuitBreaker("trip", min_calls=4)
    assert breaker.stats().last_trip is None
    for outcome in ("success", "success", "failure", "failure"):
        getattr(breaker.acquire(), outcome)()
    trip = breaker.stats().last_trip
    assert trip == Trip(4, 2, 0)
    assert (trip.calls, trip.failed, trip.slow, trip.failure_rate, trip.slow_call_rate) == (4, 2, 0, 0.5, 0.0)
    assert breaker.stats().calls == 0, "the new state's window"
    assert breaker.events()[-1].trip == trip
    with pytest.raises(CircuitOpenError) as refusal:
        breaker.acquire()
    assert refusal.value.trip == trip
    assert pickle.loads(pickle.dumps(refusal.value)).trip == trip
    assert repr(trip) == "Trip(calls=4, failed=2, slow=0)"
    breaker.force_open()
    with pytest.raises(CircuitOpenError) as refusal:
        breaker.acquire()
    assert refusal.value.trip is None
    assert breaker.events()[-1].trip is None


@pytest.mark.parametrize(
    ("name", "outside", "range_", "inside"),
    [
        ("window_calls", [0, 65_537, 70_000, -1, 2**70], "1 to 65536", [1, 65_536]),
        ("window_duration", [0, 1e-4, 31_536_001, 1e30], "0.001 s to 31536000 s", [0.001, 31_536_000]),
        ("failure_rate_threshold", [0, 50], "above 0 and up to 1", [1]),
        ("slow_call_rate_threshold", [0, 1.1], "above 0 and up to 1", [1]),
        ("consecutive_failures", [0, 2**32], "1 to 4294967295", [1, 2**32 - 1]),
        ("min_calls", [0, 2**32], "1 to 4294967295", [1, 20]),
        ("cooldown", [0, 31_536_001, 1e30, math.inf], "0.001 s to 31536000 s", [0.001, 31_536_000]),
        ("cooldown_backoff", [0.5], "1 or more", [1, 1e308]),
        ("max_cooldown", [0, 31_536_001], "0.001 s to 31536000 s", [30, 31_536_000]),
        ("cooldown_jitter", [-0.1, 1.1], "0 to 1", [0, 1]),
        ("probes", [0, 1_025], "1 to 1024", [1, 1_024]),
        ("probe_timeout", [0, 31_536_001], "0.001 s to 31536000 s", [0.001, 31_536_000]),
    ],
)
def test_errors_name_the_setting_and_its_whole_range(name, outside, range_, inside) -> None:
    for value in outside:
        with pytest.raises(ConfigError) as wrong:
            CircuitBreaker(**{name: value})
        assert str(wrong.value).startswith(f"{name}: ") and f" {range_}" in str(wrong.value)
    for value in inside:
        CircuitBreaker(**{name: value})


def test_min_calls_above_the_window_are_refused() -> None:
    with pytest.raises(ConfigError, match="^min_calls: 50 is more than the 20 calls of window_calls"):
        CircuitBreaker(min_calls=50, window_calls=20)
    CircuitBreaker(window_calls=5)


def test_an_empty_name_is_refused() -> None:
    with pytest.raises(ConfigError, match="^name: is empty"):
        CircuitBreaker("")


def test_a_filter_that_raises_does_not_hide_the_dependency_s_error() -> None:
    def dependency() -> None:
        raise OSError("refused")

    async def dependency_async() -> None:
        raise OSError("refused")

    def judge(error: Any) -> bool:
        return bool(error.status >= 500)

    def judge_badly(error: Any) -> bool:
        try:
            return judge(error)
        except AttributeError:
            raise ValueError("judge") from None

    def same(error: Any) -> bool:
        raise error

    for field in ("failure_on", "ignore"):
        options: Any = {field: judge}
        breaker = CircuitBreaker("bank", **options)
        calls = [
            lambda breaker=breaker: breaker.call(dependency),
            lambda breaker=breaker: breaker(dependency)(),
            lambda breaker=breaker: run(breaker.call_async(dependency_async)),
        ]
        for call in calls:
            with pytest.raises(AttributeError) as raised:
                call()
            assert isinstance(raised.value.__context__, OSError)
        assert breaker.stats().failed == 3
        options = {field: judge_badly}
        with pytest.raises(ValueError) as badly:
            CircuitBreaker("bank", **options).call(dependency)
        first = badly.value.__context__
        assert isinstance(first, AttributeError) and isinstance(first.__context__, OSError)
        options = {field: same}
        with pytest.raises(OSError) as itself:
            CircuitBreaker("bank", **options).call(dependency)
        assert itself.value.__context__ is None


def test_after_closing_calls_come_back_by_degrees(clock: ManualClock) -> None:
    breaker = trips_after(1, clock, cooldown=1, ramp=10, ramp_from=0.5)
    with pytest.raises(OSError):
        breaker.call(fail)
    clock.advance(1)
    breaker.call(int)
    assert (breaker.state, breaker.stats().ramping) == ("closed", True)
    with breaker.acquire_with(0.49):
        pass
    with pytest.raises(CircuitOpenError) as caught:
        breaker.acquire_with(0.51)
    assert (caught.value.ramping, caught.value.retry_after, caught.value.trip) == (True, 1.0, Trip(1, 1, 0))
    assert str(caught.value) == 'circuit "payment" has closed and lets calls back by degrees: try again in 1 s'
    clock.advance(10)
    breaker.acquire_with(1.0)
    assert not breaker.stats().ramping
    assert [event.kind for event in breaker.events()][-2:] == ["ramp_started", "ramp_ended"]


def test_a_plain_call_in_a_ramp_draws_for_itself(clock: ManualClock) -> None:
    breaker = trips_after(1, clock, cooldown=1, ramp=10, ramp_from=0.5)
    with pytest.raises(OSError):
        breaker.call(fail)
    clock.advance(1)
    breaker.call(int)
    passed = sum(breaker.try_acquire() is not None for _ in range(1000))
    # Thirteen standard deviations around a half.
    assert 300 < passed < 700


@pytest.mark.parametrize("draw", [-0.1, 1.1, math.nan])
def test_a_draw_is_within_0_to_1(draw: float) -> None:
    with pytest.raises(ConfigError, match="draw: .* is not within 0 to 1"):
        CircuitBreaker().acquire_with(draw)


def test_probes_one_at_a_time(clock: ManualClock) -> None:
    breaker = trips_after(1, clock, cooldown=1, probes=2, probes_at_once=1)
    with pytest.raises(OSError):
        breaker.call(fail)
    clock.advance(1)
    for _ in range(2):
        probe = breaker.acquire()
        assert breaker.try_acquire() is None
        probe.success()
    assert breaker.state == "closed"
    with pytest.raises(ConfigError, match=r"probes_at_once: 3 is more than probes \(2\)"):
        CircuitBreaker(probes=2, probes_at_once=3)


def test_a_trip_soon_after_closing_goes_on_with_the_backoff(clock: ManualClock) -> None:
    breaker = trips_after(1, clock, cooldown=1, cooldown_backoff=2, healthy_after=5)
    for healthy, cooldown in [(0, 1), (4.999, 2), (5, 1)]:
        clock.advance(healthy)
        with pytest.raises(OSError):
            breaker.call(fail)
        assert breaker.retry_after == cooldown
        clock.advance(cooldown)
        breaker.call(int)


def test_none_is_as_if_a_setting_were_not_there() -> None:
    usual = CircuitBreaker()
    nothing: Any = dict.fromkeys(usual.config)
    assert CircuitBreaker(window_duration=None, **nothing).config == usual.config
    by_time = CircuitBreaker(window_calls=None, window_duration=5)
    assert by_time.config["window_duration"] == 5 and "window_calls" not in by_time.config
