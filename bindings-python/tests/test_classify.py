"""What the end of a call says of the dependency: Classifier, http(), and breakers by them."""

from __future__ import annotations

import asyncio
import concurrent.futures
import errno
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import run
from tidegate import (
    BreakerRegistry,
    CircuitBreaker,
    Classifier,
    ClientThrottle,
    ConfigError,
    ManualClock,
    QueueFullError,
    RetryPolicy,
    http,
)
from tidegate._tidegate import Guarded


class PoolError(Exception):
    """A stand-in."""


def outcome(told: tuple[str, float | None]) -> str:
    return told[0]


def test_the_first_that_fits() -> None:
    classifier = Classifier(
        ignore=KeyError, unreached=(KeyError, PoolError), failure_on=lambda error: not isinstance(error, ValueError)
    )
    for error, expected in [
        (asyncio.CancelledError(), "cancelled"),
        (KeyboardInterrupt(), "cancelled"),
        (concurrent.futures.CancelledError(), "cancelled"),
        (QueueFullError(), "ignore"),
        (KeyError(), "ignore"),
        (PoolError(), "unreached"),
        (OSError(), "failure"),
        (ValueError(), "success"),
    ]:
        assert outcome(classifier.error(error)) == expected, error
    assert Classifier().error(OSError()) == ("failure", None)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="no exception groups")
def test_a_group_is_what_its_members_are() -> None:
    def group(*members: Exception) -> Exception:
        return ExceptionGroup("several", [members[0], ExceptionGroup("more", members)])

    lost, answered, own = ConnectionResetError(), KeyError(), QueueFullError()
    for error, expected in [
        (group(lost, lost), "failure"),
        (group(answered, lost), "failure"),
        (group(own, lost), "failure"),
        (group(answered, own), "success"),
        (group(own, own), "ignore"),
        (group(own, concurrent.futures.CancelledError()), "ignore"),
        (group(own, OSError(errno.EMFILE, "files")), "unreached"),
        (BaseExceptionGroup("several", [lost, KeyboardInterrupt()]), "cancelled"),
    ]:
        assert outcome(http().error(error)) == expected, error
    assert outcome(Classifier().error(group(own, own))) == "ignore"
    assert outcome(Classifier().error(group(answered, own))) == "failure"
    # A filter of the group itself goes first; of two waits the longer counts.
    assert outcome(Classifier(ignore=ExceptionGroup).error(group(lost, lost))) == "ignore"
    waits = Classifier(failure_on=OSError, retry_after=lambda error: error.errno)
    assert waits.error(group(OSError(3, "a"), OSError(5, "b"))) == ("failure", 5.0)


def test_a_wrong_call_says_nothing_of_the_dependency() -> None:
    def ask(order: str) -> None:
        raise TypeError(order)

    for call, expected in [(lambda: ask("x"), "failure"), (None, "ignore")]:
        breaker = CircuitBreaker("bank", consecutive_failures=1)
        with pytest.raises(TypeError):
            breaker.call(call or ask)  # type: ignore[arg-type]
        assert (breaker.state == "open") == (expected == "failure")
    breaker = CircuitBreaker("bank", consecutive_failures=1, failure_on=TypeError)
    with pytest.raises(TypeError):
        breaker.call(ask)
    assert breaker.state == "open", "but where that is what is asked for"


def test_generators_are_no_results() -> None:
    def give() -> Iterator[int]:
        yield 1

    async def give_async() -> AsyncIterator[int]:
        yield 1

    breaker = CircuitBreaker("bank", consecutive_failures=1)
    for call in (give, give_async, lambda: give()):
        with pytest.raises(TypeError, match="generator"):
            breaker.call(call)
        with pytest.raises(TypeError, match="generator"):
            Guarded(breaker, call)()
    assert breaker.stats().calls == 0 and breaker.state == "closed"


def test_an_error_that_raises_when_it_is_asked_is_judged() -> None:
    class Hostile(ConnectionError):
        def __getattr__(self, name: str) -> Any:
            raise RuntimeError(name)

    class Unset(OSError):
        @property
        def response(self) -> Any:
            raise RuntimeError("not set")

    assert http().error(Hostile()) == ("failure", None) and http().error(Unset()) == ("success", None)
    for error in (Hostile(), Unset()):
        calls: list[int] = []

        def ask(error: Exception = error, calls: list[int] = calls) -> None:
            calls.append(1)
            raise error

        with pytest.raises(type(error)):
            RetryPolicy(attempts=2, base=0).call(ask)
        assert len(calls) == 2
        with pytest.raises(type(error)):
            ClientThrottle().call(ask)


def test_results() -> None:
    classifier = Classifier(failure_result=[lambda rows: len(rows) < 3, lambda rows: "bad" in rows], retry_after=len)
    assert classifier.result([1]) == ("failure", 1.0)
    assert classifier.result(["bad", 2, 3, 4]) == ("failure", 4.0)
    assert classifier.result([1, 2, 3]) == ("success", None)
    assert Classifier().result(None) == ("success", None)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"failure_result": OSError}, "failure_result: expected a function of the result"),
        ({"failure_result": 5}, "failure_result: expected a function"),
        ({"unreached": "pool"}, "unreached: expected an exception class"),
        ({"retry_after": 5}, "retry_after: expected a function"),
    ],
)
def test_what_it_cannot_use(config: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        Classifier(**config)


def test_a_breaker_takes_filters_or_a_classifier() -> None:
    with pytest.raises(ConfigError, match="classifier, ignore: give one of them"):
        CircuitBreaker(classifier=http(), ignore=OSError)
    with pytest.raises(TypeError, match="classifier: expected a Classifier"):
        CircuitBreaker(classifier=OSError)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="error: expected an exception"):
        Classifier().error("text")  # type: ignore[arg-type]


def breaker(clock: ManualClock, **config: Any) -> CircuitBreaker:
    return CircuitBreaker("bank", consecutive_failures=1, cooldown=1, clock=clock, **config)


def test_a_breaker_opens_by_results(clock: ManualClock) -> None:
    def empty(rows: list[int]) -> bool:
        return not rows

    async def fetch(rows: list[int]) -> list[int]:
        return rows

    def call(it: CircuitBreaker, rows: list[int]) -> object:
        return it.call(lambda: rows)

    def decorated(it: CircuitBreaker, rows: list[int]) -> object:
        return it(lambda: rows)()

    def awaited(it: CircuitBreaker, rows: list[int]) -> object:
        return run(it.call_async(fetch, rows))

    def decorated_async(it: CircuitBreaker, rows: list[int]) -> object:
        return run(it(fetch)(rows))

    def reported(it: CircuitBreaker, rows: list[int]) -> object:
        with it.acquire() as permit:
            permit.result(rows)
        return rows

    for way in (call, decorated, awaited, decorated_async, reported):
        it = breaker(clock, failure_result=empty)
        assert way(it, [1]) == [1] and it.state == "closed"
        assert way(it, []) == [] and it.state == "open", way


def test_a_predicate_of_results_that_raises_is_a_failure(clock: ManualClock) -> None:
    it = breaker(clock, failure_result=lambda rows: rows.missing)
    with pytest.raises(AttributeError):
        it.call(list)
    assert it.state == "open"

    async def late(rows: Any) -> bool:
        return True

    with pytest.raises(TypeError, match="^failure_result: a function of the outcome cannot be async"):
        breaker(clock, failure_result=late).call(list)
    for field in ("failure_on", "ignore", "unreached", "retry_after"):
        with pytest.raises(TypeError, match=f"^{field}: a function of the outcome cannot be async"):
            Classifier(**{field: late}).error(OSError())
    for field, takes in [("failure_result", "the result"), ("retry_after", "the failed exception or result")]:
        with pytest.raises(TypeError, match=rf"^{field}: expected a function of {takes}, got .*<lambda>\(\)"):
            Classifier(**{field: lambda: True})


def test_a_classifier_is_no_filter_of_a_breaker() -> None:
    for wrong in (http(), [OSError, http()]):
        with pytest.raises(TypeError, match=r"^failure_on: .* \(a breaker takes a Classifier as classifier=\), got Cl"):
            CircuitBreaker(failure_on=wrong)


def test_an_unreached_probe_gives_its_slot_back(clock: ManualClock) -> None:
    it = breaker(clock, unreached=PoolError)

    def no_connection() -> None:
        raise PoolError

    with pytest.raises(PoolError):
        it.call(no_connection)
    assert it.state == "open"
    clock.advance(1)
    for _ in range(3):
        with pytest.raises(PoolError):
            it.call(no_connection)
        it.acquire().unreached()
        it.acquire().error(PoolError())
        assert it.state == "half_open"
    it.call(int)
    assert it.state == "closed"


def answer(status: int, **fields: str) -> SimpleNamespace:
    headers = {name.replace("_", "-"): value for name, value in fields.items()}
    return SimpleNamespace(status_code=status, headers=headers)


class Answered(Exception):
    """As requests and httpx raise."""

    def __init__(self, response: object) -> None:
        super().__init__("an answer")
        self.response = response


def test_http_knows_responses() -> None:
    classifier = http(max_retry_after=60)
    assert classifier.result(answer(503, Retry_After="7")) == ("failure", 7.0)
    assert classifier.result(answer(429, retry_after="3600")) == ("failure", 60.0)
    assert classifier.result(SimpleNamespace(status=500, headers=None)) == ("failure", None)
    for fine in (answer(200), answer(404), None, 5, "text", SimpleNamespace(status="fine")):
        assert classifier.result(fine) == ("success", None)


def library(module: str, name: str, *bases: type[Exception]) -> Exception:
    """An exception as that library would raise it."""
    return type(name, bases or (Exception,), {"__module__": f"{module}.exceptions"})("it")


def test_http_knows_exceptions() -> None:
    classifier = http()
    assert classifier.error(Answered(answer(429, Retry_After="2"))) == ("failure", 2.0)
    assert outcome(classifier.error(Answered(answer(404)))) == "success"
    # As openai raises it: with the status of its response, and not the headers.
    repeated = Answered(answer(429, Retry_After="2"))
    repeated.status_code = 429  # type: ignore[attr-defined]
    assert classifier.error(repeated) == ("failure", 2.0)
    pool = library("requests", "ConnectionError", OSError)
    pool.__cause__ = library("urllib3", "EmptyPoolError")
    for error, expected in [
        (ConnectionResetError(), "failure"),
        (TimeoutError(), "failure"),
        (asyncio.TimeoutError(), "failure"),
        (OSError(errno.EHOSTUNREACH, "no route"), "failure"),
        (urllib.error.URLError(ConnectionRefusedError()), "failure"),
        (library("httpx", "TransportError"), "failure"),
        (library("aiohttp", "ClientConnectionError"), "failure"),
        (library("httpx", "PoolTimeout"), "unreached"),
        (OSError(errno.EMFILE, "too many files"), "unreached"),
        (pool, "unreached"),
        (FileNotFoundError(), "success"),
        (ValueError(), "success"),
    ]:
        assert outcome(classifier.error(error)) == expected, error
    circular = ValueError()
    circular.__context__ = other = ValueError()
    other.__context__ = circular
    assert outcome(classifier.error(circular)) == "success"


@pytest.mark.parametrize("most", [-1, float("nan"), float("inf")])
def test_http_checks_its_longest_wait(most: float) -> None:
    with pytest.raises(ConfigError, match="max_retry_after: .* is not within"):
        http(max_retry_after=most)
    with pytest.raises(TypeError, match="max_retry_after"):
        http(max_retry_after="5")  # type: ignore[arg-type]
    assert http(max_retry_after=timedelta(seconds=2)).result(answer(503, Retry_After="7")) == ("failure", 2.0)


def test_a_real_server_sets_the_cooldown(clock: ManualClock) -> None:
    class Busy(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(503)
            self.send_header("Retry-After", "40")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Busy) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            it = breaker(clock, classifier=http())
            # No proxy of the environment.
            direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            with pytest.raises(urllib.error.HTTPError) as caught:
                it.call(direct.open, f"http://127.0.0.1:{server.server_port}/")
            caught.value.close()
            assert (it.state, it.retry_after) == ("open", 40.0)
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("error", "attempts"),
    [
        (Answered(answer(503)), 3),
        (Answered(answer(404)), 1),
        (ConnectionResetError(), 3),
        (OSError(errno.EMFILE, "too many files"), 3),
        (FileNotFoundError(), 1),
    ],
    ids=repr,
)
def test_a_retry_goes_by_the_same_classifier(error: Exception, attempts: int) -> None:
    calls: list[int] = []

    def fail() -> None:
        calls.append(1)
        raise error

    with pytest.raises(type(error)):
        RetryPolicy(attempts=3, base=0, max_delay=0, retry_on=http()).call(fail)
    assert len(calls) == attempts


def test_slow_is_a_success_that_took_long() -> None:
    classifier = Classifier(failure_on=TypeError, failure_result=lambda value: value == 0, slow_call_duration=0.1)
    for told, expected in [
        (classifier.result(1, 0.1), "slow"),
        (classifier.result(1, timedelta(milliseconds=100)), "slow"),
        (classifier.result(1, 0.0999), "success"),
        (classifier.result(1), "success"),
        (classifier.result(0, 0.1), "failure"),
        (classifier.error(OSError(), 0.1), "slow"),
        (classifier.error(TypeError(), 0.1), "failure"),
        (classifier.error(asyncio.CancelledError(), 0.1), "cancelled"),
        (classifier.error(QueueFullError(), 0.1), "ignore"),
    ]:
        assert outcome(told) == expected
    assert (classifier.slow_call_duration, Classifier().slow_call_duration) == (0.1, None)
    for wrong in (0, -1, float("nan"), float("inf")):
        with pytest.raises(ConfigError, match="slow_call_duration"):
            Classifier(slow_call_duration=wrong)
        with pytest.raises(ConfigError, match="slow_call_duration"):
            http(slow_call_duration=wrong)
    with pytest.raises(TypeError, match="slow_call_duration"):
        Classifier(slow_call_duration="5")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="duration"):
        classifier.result(1, -1)


def test_a_result_is_slow_by_what_it_says() -> None:
    classifier = Classifier(
        failure_result=lambda value: value == 0, slow=[lambda value: value == 1, lambda value: value == 2]
    )
    told = [classifier.result(value)[0] for value in range(4)]
    assert told == ["failure", "slow", "slow", "success"]
    assert classifier.error(ValueError())[0] == "failure", "errors are none of its matter"
    assert Classifier(slow=lambda _: True, slow_call_duration=9).result(5, 1)[0] == "slow"
    assert http(slow=lambda answer: answer == "stale").result("stale")[0] == "slow"
    breaker = CircuitBreaker("it", slow=lambda value: value == 1, window_calls=50)
    assert breaker.call(lambda: 1) == breaker(lambda: 1)() == 1
    breaker.call(lambda: 2)

    async def stale() -> int:
        return 1

    run(breaker.call_async(stale))
    run(breaker(stale)())
    breaker.acquire().result(1)
    stats = breaker.stats()
    assert (stats.calls, stats.failed, stats.slow) == (6, 0, 5)
    hosts = BreakerRegistry(slow=lambda value: value == 1)
    hosts.get("a").call(lambda: 1)
    assert hosts.get("a").stats().slow == 1

    def broken(_: object) -> bool:
        raise OSError("asked")

    with pytest.raises(OSError, match="asked"):
        CircuitBreaker("it", slow=broken, consecutive_failures=1).call(lambda: 1)
    for wrong in (5, ValueError, http()):
        with pytest.raises(TypeError, match="^slow: "):
            Classifier(slow=wrong)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="classifier, slow: "):
        CircuitBreaker("it", classifier=http(), slow=lambda _: True)


def test_a_wrong_call_is_neutral_in_every_form() -> None:
    def takes_one(value: int) -> int:
        if value == 0:
            raise TypeError("of its own")
        return value

    for ill, filters in [("open", {}), ("closed", {"failure_on": OSError})]:
        breaker = CircuitBreaker("it", consecutive_failures=1, **filters)
        for wrong in (
            lambda: breaker.call(takes_one),
            lambda: breaker.call(takes_one, 1, 2),
            lambda: breaker.call(takes_one, other=1),
            lambda: breaker.call(5),  # type: ignore[arg-type]
            lambda: breaker.call(None),  # type: ignore[arg-type]
            lambda: breaker(takes_one)(),  # type: ignore[call-arg]
            lambda: run(breaker.call_async(takes_one)),  # type: ignore[arg-type]
        ):
            with pytest.raises(TypeError):
                wrong()
        assert (breaker.state, breaker.stats().calls) == ("closed", 0)
        with pytest.raises(TypeError, match="of its own"):
            breaker.call(takes_one, 0)
        assert breaker.state == ill


def test_a_breaker_counts_its_classifiers_slow_calls() -> None:
    clock = ManualClock()
    classifier = Classifier(failure_on=TypeError, slow_call_duration=0.1)
    breaker = CircuitBreaker("it", classifier=classifier, clock=clock, window_calls=50)

    def after(seconds: float, error: Exception | None = None) -> int:
        clock.advance(seconds)
        if error is not None:
            raise error
        return 1

    async def later(seconds: float) -> int:
        return after(seconds)

    breaker.call(after, 0.1)
    breaker.call(after, 0.05)
    for guarded in (lambda: breaker.call(after, 0.1, OSError()), lambda: breaker(after)(0.1, OSError())):
        with pytest.raises(OSError):
            guarded()
    breaker(after)(0.1)
    run(breaker.call_async(later, 0.1))
    run(breaker(later)(0.1))
    with breaker.acquire():
        clock.advance(0.1)
    with pytest.raises(OSError), breaker.acquire():
        after(0.1, OSError())
    permit = breaker.try_acquire()
    assert permit is not None
    clock.advance(0.1)
    permit.result(1)
    breaker.acquire().result(1, 0.1)
    breaker.acquire().error(OSError(), 0.1)
    breaker.acquire_with(0.5).slow()
    stats = breaker.stats()
    assert (stats.calls, stats.failed, stats.slow) == (13, 0, 12)


@pytest.mark.parametrize(
    ("method", "takes", "failed"),
    [
        ("success", {"duration"}, 0),
        ("slow", {"duration"}, 0),
        ("failure", {"duration", "retry_after"}, 1),
        ("unreached", {"duration"}, 1),
        ("ignore", set(), None),
        ("release", set(), None),
    ],
)
def test_a_report_takes_all_that_it_is_told_or_refuses_it(method: str, takes: set[str], failed: int | None) -> None:
    for told in [{}, {"duration": 0.1}, {"retry_after": 5.0}, {"duration": 0.1, "retry_after": 5.0}]:
        breaker = CircuitBreaker(
            "it", slow_call_duration=0.1, min_calls=1, window_calls=5, cooldown=1, clock=ManualClock()
        )
        permit = breaker.acquire()
        report = getattr(permit, method)
        if not set(told) <= takes:
            with pytest.raises(TypeError):
                report(**told)
            report()
            continue
        report(**told)
        is_slow = method == "slow" or "duration" in told
        if failed is None or not (failed or is_slow):
            assert breaker.state == "closed"
            continue
        trip = breaker.stats().last_trip
        assert breaker.state == "open" and trip is not None
        assert (trip.failed, trip.slow) == (failed, int(is_slow))
        assert breaker.retry_after == told.get("retry_after", 1)


def test_the_settings_of_a_breaker_are_shown_as_set_config_takes_them() -> None:
    given = {"window_duration": 5.0, "slow_call_duration": 0.00025, "consecutive_failures": 4, "ramp": 7.0, "probes": 3}
    breaker = CircuitBreaker("it", **given)  # type: ignore[arg-type]
    shown = breaker.config
    assert given.items() <= shown.items()
    assert (shown["max_cooldown"], shown["cooldown"], "window_calls" in shown) == (None, 30.0, False)
    breaker.set_config(cooldown=5, consecutive_failures=None)
    assert breaker.config == {**shown, "cooldown": 5.0, "consecutive_failures": None}
    breaker.set_config(**shown)  # type: ignore[arg-type]
    assert breaker.config == shown
    assert CircuitBreaker("other", **shown).config == shown  # type: ignore[arg-type]
