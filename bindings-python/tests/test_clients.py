"""Breakers, retries and throttles under httpx, requests and aiohttp, against a server that fails as it is told."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import http.client
import io
import math
import pickle
import shutil
import socket
import sys
import time
import urllib.request
import weakref
from collections import deque
from collections.abc import AsyncIterator, Iterator
from typing import Any

import aiohttp
import httpx
import pytest
import requests
import tidegate.aiohttp
import tidegate.httpx
import tidegate.requests
import urllib3
from clients import ASYNC, CLIENTS, ERRORS, Client, client
from conftest import Thread, run, wait_until
from faulty import Faulty, faulty
from tidegate import (
    BreakerRegistry,
    CircuitBreaker,
    CircuitOpenError,
    Classifier,
    ClientThrottle,
    ConfigError,
    Deadline,
    ManualClock,
    RetryBudget,
    RetryBudgetExceededError,
    RetryPolicy,
    ThrottledError,
    TimeoutExceededError,
)
from tidegate import http as http_calls

QUICK: dict[str, Any] = {"base": 0, "max_delay": 0}


@pytest.fixture
def server() -> Iterator[Faulty]:
    with faulty() as made:
        yield made


def opening(**more: Any) -> CircuitBreaker:
    """Opens at the first failure."""
    return CircuitBreaker("bank", consecutive_failures=1, **more)


def counts(breaker: CircuitBreaker) -> tuple[int, int]:
    stats = breaker.stats()
    return stats.calls, stats.failed


def half_open(clock: ManualClock) -> CircuitBreaker:
    """The next call is its only probe."""
    breaker = opening(clock=clock, cooldown=5)
    breaker.acquire().failure()
    clock.advance(5)
    return breaker


def wants_probe(breaker: CircuitBreaker) -> bool:
    """Whether the place of the probe is free, and nothing was learned."""
    permit = breaker.try_acquire()
    if permit is None or breaker.state != "half_open":
        return False
    permit.release()
    return True


@pytest.mark.parametrize("kind", CLIENTS)
def test_answers_pass_and_refusals_are_errors_of_the_client(kind: str, server: Faulty) -> None:
    breaker = CircuitBreaker("bank", consecutive_failures=2)
    server.script.extend([200, 404, 500, "503"])
    with client(kind, breaker=breaker) as made:
        assert [made.send("GET", server.url)[0] for _ in range(4)] == [200, 404, 500, 503]
        for expected in (CircuitOpenError, ERRORS[kind]):
            with pytest.raises(expected) as raised:
                made.send("GET", server.url)
    error = raised.value
    assert (error.breaker, error.trip.failed) == ("bank", 2) and 29 < error.retry_after <= 30
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), copy.trip) == (type(error), str(error), error.trip)
    assert len(server.asked) == 4


@pytest.mark.parametrize("kind", CLIENTS)
def test_a_registry_has_the_breaker_of_each_host(kind: str, server: Faulty) -> None:
    registry = BreakerRegistry(consecutive_failures=1)
    server.script.append(500)
    with client(kind, breaker=registry) as made:
        assert made.send("GET", server.url).status == 500
        with pytest.raises(CircuitOpenError):
            made.send("GET", server.url)
        assert made.send("GET", server.url.replace("127.0.0.1", "localhost")).status == 200
    host = server.url.removeprefix("http://")
    states = {key: breaker.state for key, breaker in registry.items()}
    assert states == {host: "open", host.replace("127.0.0.1", "localhost"): "closed"}


@pytest.mark.parametrize("kind", CLIENTS)
def test_what_failed_is_sent_again(kind: str, server: Faulty) -> None:
    breaker, budget = CircuitBreaker(min_calls=20), RetryBudget()
    server.script.extend(["503", "reset", 200])
    with client(kind, breaker=breaker, retry=RetryPolicy(**QUICK), budget=budget) as made:
        assert made.send("GET", server.url) == (200, b"done")
        assert made.send("PUT", server.url, b"abc") == (200, b"done")
    assert [asked.body for asked in server.asked] == [b"", b"", b"", b"abc"]
    # Each attempt is a call of the breaker.
    assert counts(breaker) == (4, 2)
    assert (budget.stats().deposited, budget.stats().withdrawn) == (2, 2)


@pytest.mark.parametrize("kind", CLIENTS)
def test_a_response_stays_one_and_an_error_stays_the_clients(kind: str, server: Faulty) -> None:
    with client(kind, retry=RetryPolicy(**QUICK)) as made:
        server.mode = 503
        assert made.send("GET", server.url).status == 503 and len(server.asked) == 3
        server.mode = "reset"
        with pytest.raises(ERRORS[kind]) as raised:
            made.send("PUT", server.url, b"x")
        assert raised.value.attempts == 3 and len(server.asked) == 6
    # The empty budget: a response is one, an error is told.
    budget = RetryBudget(min_per_second=0, ratio=0)
    while budget.try_withdraw():
        pass
    with client(kind, retry=RetryPolicy(budget=budget, **QUICK)) as made:
        server.mode = 503
        assert made.send("GET", server.url).status == 503
        server.mode = "reset"
        for expected in (RetryBudgetExceededError, ERRORS[kind]):
            with pytest.raises(expected) as raised:
                made.send("PUT", server.url, b"x")
            assert raised.value.attempts == 1 and isinstance(raised.value.__cause__, ERRORS[kind])
    assert len(server.asked) == 9


@pytest.mark.parametrize("kind", CLIENTS)
def test_an_answer_that_is_no_http_has_failed(kind: str, server: Faulty) -> None:
    server.mode = "garbage"
    breaker, throttle = half_open(ManualClock()), ClientThrottle()
    with client(kind, breaker=breaker, throttle=throttle) as made, pytest.raises(Exception) as raised:
        made.send("GET", server.url)
    assert breaker.state == "open" and throttle.stats().refused == 1
    assert http_calls().error(raised.value) == ("failure", None)
    server.script.extend(["garbage", 200])
    with client(kind, retry=RetryPolicy(**QUICK)) as made:
        assert made.send("GET", server.url).status == 200
    # By hand, with no client of ours: a retry knows it as well.
    server.script.extend(["garbage", 200])
    with client(kind) as made:
        assert RetryPolicy(**QUICK).call(made.send, "GET", server.url).status == 200


def test_a_compressed_body_that_is_broken_has_failed(server: Faulty) -> None:
    server.mode = "200 | content-encoding: gzip"
    clients = {kind: httpx.HTTPError if kind.startswith("httpx") else Exception for kind in CLIENTS}
    for kind, expected in clients.items():
        breaker = opening(classifier=http_calls())
        with client(kind) as made, pytest.raises(expected):
            breaker.call(made.send, "GET", server.url)
        assert breaker.state == "open", kind
    # Where the client decodes as it receives, its breaker hears of it; httpx decodes later.
    for kind in ("requests", "aiohttp"):
        breaker = opening()
        with client(kind, breaker=breaker) as made, pytest.raises(clients[kind]):
            made.send("GET", server.url)
        assert breaker.state == "open", kind


def chunks() -> Iterator[bytes]:
    yield b"abc"


async def chunks_async() -> AsyncIterator[bytes]:
    yield b"abc"


def test_aiohttp_s_own_second_try_is_a_call_of_the_breaker(server: Faulty) -> None:
    breaker = CircuitBreaker(consecutive_failures=2)
    server.mode = "reset"
    with client("aiohttp", breaker=breaker) as made:
        with pytest.raises((aiohttp.ServerDisconnectedError, aiohttp.ClientOSError)):
            made.send("GET", server.url)
        assert len(server.asked) == 2 and breaker.state == "open"
        breaker.reset()
        breaker.acquire().failure()
        # It opens at the first try: the second is refused, and the caller is not told that nothing was sent.
        with pytest.raises((aiohttp.ServerDisconnectedError, aiohttp.ClientOSError)):
            made.send("GET", server.url)
        assert len(server.asked) == 3
        with pytest.raises(CircuitOpenError):
            made.send("GET", server.url)


@pytest.mark.parametrize("kind", CLIENTS)
def test_errors_are_in_no_cycle(kind: str, server: Faulty) -> None:
    server.mode = "reset"
    known: list[weakref.ref[BaseException]] = []
    gc.disable()
    try:
        for policies in ({}, {"retry": RetryPolicy(**QUICK)}, {"breaker": opening(), "retry": RetryPolicy(**QUICK)}):
            with client(kind, **policies) as made:
                # Within one coroutine: what runs it keeps an error that leaves.
                async def scene(made: Client = made) -> None:
                    for _ in range(3):
                        try:
                            await made.session.get(server.url)
                        except BROKEN as error:
                            known.append(weakref.ref(error))
                        await asyncio.sleep(0)

                if kind in ASYNC:
                    made.run(scene())
                    continue
                for _ in range(3):
                    try:
                        made.send("GET", server.url)
                    except BROKEN as error:
                        known.append(weakref.ref(error))
        assert len(known) == 9 and [error() for error in known] == [None] * 9
    finally:
        gc.enable()


@pytest.mark.parametrize("kind", CLIENTS)
def test_what_may_not_be_sent_twice(kind: str, server: Faulty) -> None:
    server.mode = 503
    policies: list[tuple[Any, int, dict[str, str]]] = [
        (False, 1, {}),
        (False, 3, {"idempotency_key": "7"}),
        (False, 1, {"idempotency_key": ""}),
        (True, 3, {}),
        (lambda request: request.method == "PATCH", 1, {}),
    ]
    if kind == "aiohttp":
        # The others refuse to send it.
        policies.append((False, 1, {"idempotency_key": " \t"}))
    for idempotent, attempts, headers in policies:
        with client(kind, retry=RetryPolicy(**QUICK), idempotent=idempotent) as made:
            made.send("POST", server.url, b"abc", **headers)
            assert [asked.body for asked in server.asked] == [b"abc"] * attempts
            server.asked.clear()
            # A stream is gone.
            made.send("PUT", server.url, chunks_async() if kind in ASYNC else chunks(), idempotency_key="7")
            assert [asked.body for asked in server.asked] == [b"abc"]
            server.asked.clear()


@pytest.mark.parametrize("kind", ["requests", "aiohttp"])
def test_a_file_is_sent_again_from_where_it_was(kind: str, server: Faulty) -> None:
    file = io.BytesIO(b"--abc")
    file.seek(2)
    server.script.extend([503, 500])
    with client(kind, retry=RetryPolicy(**QUICK)) as made:
        assert made.send("PUT", server.url, file).status == 200
    assert [asked.body for asked in server.asked] == [b"abc"] * 3


@pytest.mark.parametrize("kind", CLIENTS)
def test_the_server_says_when(kind: str, server: Faulty) -> None:
    clock = ManualClock()
    breaker = opening(clock=clock, cooldown=1, max_cooldown=60)
    with client(kind, breaker=breaker) as made:
        server.script.append("503|Retry-After: 7")
        assert made.send("GET", server.url).status == 503
        assert breaker.retry_after == 7
    with client(kind, retry=RetryPolicy(**QUICK)) as made:
        server.script.append("429|Retry-After-Ms: 80")
        begun = time.monotonic()
        assert made.send("GET", server.url).status == 200
        assert time.monotonic() - begun >= 0.08
    # What would pass the deadline is not waited for.
    with client(kind, retry=RetryPolicy(deadline=5, **QUICK)) as made:
        server.script.append("429|Retry-After: 30")
        assert made.send("GET", server.url).status == 429


@pytest.mark.parametrize("kind", CLIENTS)
def test_bytes_that_are_no_text_in_a_field_count_for_nothing(kind: str, server: Faulty) -> None:
    for status in (429, 503):
        # The server writes them as they are.
        for name in ("retry-after", "retry-after-ms", "date"):
            breaker, retry = opening(cooldown=9), RetryPolicy(attempts=2, **QUICK)
            server.asked.clear()
            server.mode = f"{status}|{name}: \udce9"
            with client(kind, retry=retry, throttle=ClientThrottle()) as made:
                assert made.send("GET", server.url).status == status and len(server.asked) == 2
            with client(kind, breaker=breaker) as made:
                assert made.send("GET", server.url).status == status
            assert breaker.state == "open" and 8 < breaker.retry_after <= 9


@pytest.mark.parametrize("kind", CLIENTS)
def test_a_circuit_that_has_opened_ends_the_retries_at_once(kind: str, server: Faulty) -> None:
    budget = RetryBudget()
    with client(kind, breaker=opening(), retry=RetryPolicy(base=30, max_delay=30), budget=budget) as made:
        server.script.append(500)
        assert made.send("GET", server.url).status == 500
        with pytest.raises(CircuitOpenError):
            made.send("GET", server.url)
    assert len(server.asked) == 1 and budget.stats().withdrawn == 0 and budget.stats().deposited == 1


@pytest.mark.parametrize("kind", CLIENTS)
def test_a_retry_may_be_the_probe(kind: str, server: Faulty) -> None:
    breaker = opening(cooldown=0.01)
    with client(kind, breaker=breaker, retry=RetryPolicy(base=0.02, max_delay=0.02, jitter="none")) as made:
        # The cooldown ends before the wait, or with it.
        for act in (500, "503|Retry-After-Ms: 50"):
            server.script.append(act)
            assert made.send("GET", server.url).status == 200 and breaker.state == "closed"


@pytest.mark.parametrize("kind", CLIENTS)
def test_a_refusal_says_whether_something_was_sent(kind: str, server: Faulty, clock: ManualClock) -> None:
    # The circuit opens while a retry waits, as by somebody else's failures.
    policy = RetryPolicy(base=3600, max_delay=3600, jitter="none", clock=clock)
    for act, expected in (("503", CircuitOpenError), ("reset", ERRORS[kind])):
        breaker, budget = opening(cooldown=9999), RetryBudget()
        breaker.disable()
        server.script.append(act)

        def work(breaker: CircuitBreaker = breaker, budget: RetryBudget = budget) -> None:
            with client(kind, breaker=breaker, retry=policy, budget=budget) as made:
                made.send("PUT", server.url)

        thread = Thread(work)
        wait_until(lambda budget=budget: budget.stats().withdrawn == 1)  # type: ignore[misc]
        breaker.force_open()
        while thread.is_alive():
            clock.advance(600)
            time.sleep(0.001)
        with pytest.raises(expected) as raised:
            thread.finish()
        assert raised.value.attempts == 1
        if act == "503":
            cause: Any = raised.value.__cause__
            response = getattr(cause, "response", cause)
            assert getattr(response, "status_code", None) == 503 or response.status == 503
        else:
            assert not isinstance(raised.value, CircuitOpenError), "nobody shall believe that nothing was sent"
    breaker = opening()
    breaker.force_open()
    with client(kind, breaker=breaker, retry=policy) as made, pytest.raises(CircuitOpenError) as raised:
        made.send("PUT", server.url)
    assert raised.value.attempts == 0 and len(server.asked) == 2


@pytest.mark.parametrize("kind", CLIENTS)
def test_the_breaker_waits_for_the_body(kind: str, server: Faulty, clock: ManualClock) -> None:
    for outcome_at, seen in (("body", 0), ("headers", 1)):
        breaker = CircuitBreaker(slow_call_duration=5, clock=clock)
        with client(kind, breaker=breaker, outcome_at=outcome_at) as made:
            server.script.append("hang body")
            response = made.opened(server.url)
            assert counts(breaker) == (seen, 0)
            clock.advance(6)
            server.go_on()
            assert made.read(response) == b"half-whole"
            assert counts(breaker) == (1, 0) and breaker.stats().slow == 1 - seen
            assert server._more is not None
            server._more.clear()


@pytest.mark.parametrize("kind", CLIENTS)
def test_the_classifiers_slow_call_is_slow_for_the_breaker_alone(kind: str, server: Faulty) -> None:
    breaker, throttle = CircuitBreaker("bank"), ClientThrottle()
    server.script.extend([200, 404, 503, 200])
    # Whatever a call takes is more than a nanosecond.
    slow = http_calls(slow_call_duration=1e-9)
    with client(kind, breaker=breaker, retry=RetryPolicy(**QUICK), throttle=throttle, classifier=slow) as made:
        assert [made.send("GET", server.url)[0] for _ in range(3)] == [200, 404, 200]
    stats = breaker.stats()
    assert (stats.calls, stats.failed, stats.slow) == (4, 1, 3)
    assert (throttle.stats().accepted, throttle.stats().refused) == (3, 1)


@pytest.mark.parametrize("kind", CLIENTS)
@pytest.mark.parametrize("outcome_at", ["body", "headers"])
def test_an_answer_that_says_so_is_slow_and_its_body_can_still_fail(
    kind: str, outcome_at: str, server: Faulty
) -> None:
    breaker, throttle = CircuitBreaker("bank", window_calls=50), ClientThrottle()
    server.script.extend([200, 404, 503, "reset body"])
    slow = http_calls(slow=lambda answer: getattr(answer, "status_code", getattr(answer, "status", 0)) in (200, 503))
    with client(kind, breaker=breaker, throttle=throttle, classifier=slow, outcome_at=outcome_at) as made:
        assert [made.send("GET", server.url)[0] for _ in range(3)] == [200, 404, 503]
        stats = breaker.stats()
        assert (stats.calls, stats.failed, stats.slow) == (3, 1, 1)
        with pytest.raises(Exception):  # noqa: B017 - each client has its own
            made.send("GET", server.url)
    stats, is_seen = breaker.stats(), outcome_at == "body"
    assert (stats.calls, stats.failed, stats.slow) == (4, 1 + is_seen, 2 - is_seen)
    assert (throttle.stats().accepted, throttle.stats().refused) == (3, 1)


@pytest.mark.parametrize("kind", CLIENTS)
def test_a_body_that_nobody_wants_gives_its_probe_back(kind: str, server: Faulty, clock: ManualClock) -> None:
    breaker = half_open(clock)
    with client(kind, breaker=breaker) as made:
        server.mode = "hang body"
        for _ in range(2):
            response = made.opened(server.url)
            assert breaker.try_acquire() is None, "the probe is under way"
            made.abandon(response)
            assert wants_probe(breaker)
        del response
        if kind != "aiohttp":
            # Dropped without a word.
            made.opened(server.url)
            gc.collect()
            assert wants_probe(breaker)
        server.mode = 200
        assert made.read(made.opened(server.url)) == b"done"
    assert breaker.state == "closed"


@pytest.mark.parametrize("kind", CLIENTS)
def test_a_body_that_breaks_off_is_a_failure(kind: str, server: Faulty) -> None:
    breaker = CircuitBreaker()
    with client(kind, breaker=breaker, retry=RetryPolicy(**QUICK), timeout=0.3) as made:
        for act in ("reset body", "hang body"):
            server.script.append(act)
            response = made.opened(server.url) if kind != "requests" else None
            with pytest.raises((*BROKEN, asyncio.TimeoutError)):
                made.send("GET", server.url) if response is None else made.read(response)
            if response is not None:
                made.abandon(response)
    # Retries are decided by the headers.
    assert counts(breaker) == (2, 2) and len(server.asked) == 2


@pytest.mark.parametrize("kind", CLIENTS)
def test_a_compressed_body_that_is_broken_is_a_failure(kind: str, server: Faulty, clock: ManualClock) -> None:
    for is_streamed in (False, True):
        breaker = half_open(clock)
        with client(kind, breaker=breaker) as made:
            server.script.append("bad gzip")
            with pytest.raises((*BROKEN, httpx.DecodingError)):
                if not is_streamed:
                    made.send("GET", server.url)
                elif kind == "httpx":
                    with made.session.stream("GET", server.url) as response:
                        [*response.iter_bytes()]
                elif kind == "httpx async":

                    async def read(made: Client = made) -> None:
                        async with made.session.stream("GET", server.url) as response:
                            [part async for part in response.aiter_bytes()]

                    made.run(read())
                else:
                    with contextlib.closing(made.opened(server.url)) as response:
                        made.read(response)
        assert breaker.state == "open", is_streamed


@pytest.mark.parametrize("kind", ["httpx", "httpx async"])
def test_a_response_that_is_closed_for_anothers_broken_body_gives_its_probe_back(
    kind: str, server: Faulty, clock: ManualClock
) -> None:
    breaker = half_open(clock)
    server.script.extend(["hang body", "bad gzip"])
    with client(kind, breaker=breaker) as made, client("httpx") as other:
        response = made.opened(server.url)
        try:
            other.send("GET", server.url)
        except httpx.DecodingError:
            made.abandon(response)
        assert wants_probe(breaker)


def test_a_proxy_that_refuses_the_tunnel_is_a_failure(server: Faulty, clock: ManualClock) -> None:
    async def main(status: int) -> tuple[CircuitBreaker, int]:
        breaker, throttle = half_open(clock), ClientThrottle()
        policies = tidegate.aiohttp.Middleware(breaker=breaker, throttle=throttle)
        async with aiohttp.ClientSession(middlewares=[policies]) as session:
            server.script.append(status)
            with pytest.raises(aiohttp.ClientHttpProxyError):
                await session.get("https://bank.test/", proxy=server.url)
        return breaker, throttle.stats().refused

    for status in (403, 407, 429, 502):
        breaker, refused = run(main(status))
        assert (breaker.state, refused) == ("open", 1), status


@pytest.mark.parametrize("status", [403, 404, 407, 429, 502])
def test_a_proxy_s_status_is_no_answer_of_the_server(status: int, server: Faulty) -> None:
    """Whoever judges the error, and whatever number it has: the server was not reached."""

    async def by_aiohttp() -> None:
        async with aiohttp.ClientSession() as session:
            await session.get("https://bank.test/", proxy=server.url)

    def by_urllib() -> None:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({"https": server.url}))
        opener.open("https://bank.test/", timeout=10)

    def by_http_client() -> None:
        line = http.client.HTTPSConnection(server.url.removeprefix("http://"), timeout=10)
        line.set_tunnel("bank.test")
        line.request("GET", "/")

    def by_httpx() -> None:
        httpx.get("https://bank.test/", proxy=server.url)

    def by_requests() -> None:
        requests.get("https://bank.test/", proxies={"https": server.url}, timeout=10)

    for call in (lambda: run(by_aiohttp()), by_urllib, by_http_client, by_httpx, by_requests):
        for judge in (None, tidegate.http()):
            server.asked.clear()
            server.script = deque([status] * 3)
            breaker = CircuitBreaker("bank", consecutive_failures=2, classifier=judge)
            with pytest.raises(Exception, match=r".") as raised:
                RetryPolicy(2, base=0, retry_on=judge).call(breaker.call, call)
            assert len(server.asked) == 2, (call, judge, raised.value)
            assert breaker.state == "open" and raised.value.retry_after == 0.0  # type: ignore[attr-defined]


BROKEN = (httpx.TransportError, requests.RequestException, aiohttp.ClientError)


@pytest.mark.parametrize("kind", CLIENTS)
def test_a_server_that_hangs(kind: str, server: Faulty) -> None:
    breaker = CircuitBreaker()
    server.mode = "hang"
    with client(kind, breaker=breaker, timeout=0.2) as made, pytest.raises((*BROKEN, asyncio.TimeoutError)):
        made.send("GET", server.url)
    assert counts(breaker) == (1, 1)


@pytest.mark.parametrize("mode", ["hang", 500, "reset"])
def test_aiohttp_s_time_for_a_request_is_one_for_all_attempts(server: Faulty, mode: str | int) -> None:
    breaker, budget = CircuitBreaker(), RetryBudget()
    # Waits for an hour, or not at all after an attempt that has used up the time.
    wait = 0 if mode == "hang" else 3600
    retry = RetryPolicy(3, base=wait, max_delay=wait, jitter="none", budget=budget)
    server.mode = mode

    async def main() -> None:
        async with aiohttp.ClientSession(
            middlewares=[tidegate.aiohttp.Middleware(breaker=breaker, retry=retry)],
            timeout=aiohttp.ClientTimeout(total=0.3),
        ) as session:
            with pytest.raises(asyncio.TimeoutError):
                await session.get(server.url)

    run(main())
    assert (len(server.asked), counts(breaker)) == (1, (1, 1))
    assert budget.stats().withdrawn == (0 if mode == "hang" else 1)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_aiohttp_s_time_may_end_before_there_is_a_connection(scheme: str, clock: ManualClock) -> None:
    """The timer cancels the task there, which is none of the caller's doing."""
    breaker, probed, throttle = opening(), half_open(clock), ClientThrottle()

    async def main(url: str) -> None:
        timeout = aiohttp.ClientTimeout(total=0.2)
        for chosen in (breaker, probed):
            policies = tidegate.aiohttp.Middleware(breaker=chosen, throttle=throttle, retry=RetryPolicy(**QUICK))
            connector = aiohttp.TCPConnector(resolver=Nowhere() if scheme == "http" else None)
            async with aiohttp.ClientSession(
                middlewares=[policies], timeout=timeout, connector=connector
            ) as session:
                with pytest.raises(asyncio.TimeoutError):
                    await session.get(url)
        task = asyncio.current_task()
        assert task is not None and (sys.version_info < (3, 11) or task.cancelling() == 0)

    # A listener that accepts no handshake.
    with socket.create_server(("127.0.0.1", 0)) as listener:
        run(main("http://nowhere.test" if scheme == "http" else f"https://127.0.0.1:{listener.getsockname()[1]}"))
    assert (breaker.state, probed.state, throttle.stats().refused) == ("open", "open", 2)


class Nowhere(aiohttp.abc.AbstractResolver):
    """Never gives an address."""

    async def resolve(self, host: str, port: int = 0, family: Any = socket.AF_INET) -> Any:
        await asyncio.Event().wait()

    async def close(self) -> None:
        pass


def test_aiohttp_s_time_that_ends_in_the_queue_of_the_pool_says_nothing_of_the_server(
    server: Faulty, clock: ManualClock
) -> None:
    server.mode = "hang body"

    async def main() -> None:
        connector = aiohttp.TCPConnector(limit=1)
        async with aiohttp.ClientSession(connector=connector) as plain, plain.get(server.url):
            policies = tidegate.aiohttp.Middleware(breaker=breaker)
            async with aiohttp.ClientSession(
                middlewares=[policies], connector=connector, connector_owner=False,
                timeout=aiohttp.ClientTimeout(total=0.2),
            ) as session:  # fmt: skip
                with pytest.raises(asyncio.TimeoutError):
                    await session.get(server.url)

    breaker = half_open(clock)
    run(main())
    assert wants_probe(breaker)


def test_a_caller_who_cancels_before_there_is_a_connection_is_neutral(clock: ManualClock) -> None:
    breaker = half_open(clock)

    async def main() -> None:
        policies = tidegate.aiohttp.Middleware(breaker=breaker)
        connector = aiohttp.TCPConnector(resolver=Nowhere())
        # With a timer that has not run out, and with one that does at the caller's own moment (before 3.11 it wins).
        for total in (60, 0.1)[: 1 + (sys.version_info >= (3, 11))]:
            async with aiohttp.ClientSession(
                middlewares=[policies], connector=connector, connector_owner=False,
                timeout=aiohttp.ClientTimeout(total=total),
            ) as session:  # fmt: skip
                task = asyncio.ensure_future(session.get("http://nowhere.test"))
                await asyncio.sleep(0)
                if total < 1:
                    # The loop is held until both are due.
                    asyncio.get_running_loop().call_later(0.1, task.cancel)
                    time.sleep(0.2)
                else:
                    await asyncio.sleep(0.02)
                    task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
        await connector.close()

    run(main())
    assert wants_probe(breaker)


@pytest.mark.parametrize("kind", CLIENTS)
def test_nobody_is_there(kind: str) -> None:
    breaker = CircuitBreaker()
    with faulty() as gone:
        url = gone.url
    with client(kind, breaker=breaker, retry=RetryPolicy(**QUICK)) as made, pytest.raises(ERRORS[kind]):
        made.send("GET", url)
    assert counts(breaker) == (3, 3)


@pytest.mark.parametrize("kind", ["httpx", "httpx async", "aiohttp"])
def test_an_exhausted_pool_says_nothing_of_the_server(kind: str, server: Faulty, clock: ManualClock) -> None:
    breaker, probed = CircuitBreaker("closed"), half_open(clock)
    server.script.append("hang body")
    chosen = {"first": CircuitBreaker("first"), "closed": breaker, "probed": probed}

    def key(request: Any) -> str:
        return str(request.headers.get("x-key", "first"))

    with client(kind, breaker=chosen, key=key, connections=1, timeout=0.4) as made:
        holds = made.opened(server.url)
        for name in ("closed", "probed"):
            with pytest.raises((*BROKEN, asyncio.TimeoutError)):
                made.send("GET", server.url, x_key=name)
        assert counts(breaker) == (1, 1) and wants_probe(probed)
        made.abandon(holds)
    assert len(server.asked) == 1


@pytest.mark.parametrize("kind", ["httpx", "httpx async"])
def test_a_header_that_cannot_be_sent_is_nobodys_failure(kind: str, server: Faulty, clock: ManualClock) -> None:
    breaker, throttle, probed = opening(), ClientThrottle(), half_open(clock)
    for chosen in (breaker, probed):
        with client(kind, breaker=chosen, throttle=throttle, retry=RetryPolicy(**QUICK)) as made:
            for url, value in ((server.url, "a\nb"), ("gopher://x", "a")):
                with pytest.raises((httpx.LocalProtocolError, httpx.UnsupportedProtocol)):
                    made.send("GET", url, user=value)
    assert counts(breaker) == (0, 0) and wants_probe(probed) and throttle.stats().refused == 0


@pytest.mark.parametrize("kind", CLIENTS)
def test_what_is_sent_again_holds_no_connection(kind: str, server: Faulty) -> None:
    server.script.extend([503, 500, 429])
    policy = RetryPolicy(attempts=4, **QUICK)
    with client(kind, retry=policy, connections=1, timeout=2) as made:
        assert made.send("GET", server.url).status == 200


@pytest.mark.parametrize("kind", ASYNC)
def test_a_cancelled_task_is_neutral(kind: str, server: Faulty, clock: ManualClock) -> None:
    for mode in ("hang", "hang body"):
        breaker, budget = half_open(clock), RetryBudget()
        server.mode = mode
        server.asked.clear()
        with client(kind, breaker=breaker, retry=RetryPolicy(**QUICK), budget=budget) as made:

            async def scene(made: Client = made) -> None:
                async def ask() -> Any:
                    if made.kind == "aiohttp":
                        async with made.session.get(server.url) as response:
                            return await response.read()
                    return await made.session.get(server.url)

                task = asyncio.ensure_future(ask())
                while not server.asked:
                    await asyncio.sleep(0.001)
                await asyncio.sleep(0.02)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task

            made.run(scene())
        assert wants_probe(breaker) and len(server.asked) == 1 and budget.stats().withdrawn == 0


@pytest.mark.parametrize("kind", ASYNC)
def test_a_client_that_is_closed_in_flight_is_neutral(kind: str, server: Faulty, clock: ManualClock) -> None:
    # A reader of a body is not told by aiohttp that its session was closed.
    for mode in ("hang", "hang body") if kind != "aiohttp" else ("hang",):
        breaker = half_open(clock)
        server.mode = mode
        server.asked.clear()
        with client(kind, breaker=breaker, retry=RetryPolicy(**QUICK)) as made:

            async def scene(made: Client = made) -> None:
                async def ask() -> Any:
                    if made.kind == "aiohttp":
                        async with made.session.get(server.url) as response:
                            return await response.read()
                    return await made.session.get(server.url)

                task = asyncio.ensure_future(ask())
                while not server.asked:
                    await asyncio.sleep(0.001)
                await asyncio.sleep(0.02)
                await (made.session.close() if made.kind == "aiohttp" else made.session.aclose())
                with pytest.raises((*BROKEN, RuntimeError)):
                    await asyncio.wait_for(task, 5)

            made.run(scene())
        assert wants_probe(breaker) and len(server.asked) == 1


@pytest.mark.parametrize("kind", CLIENTS)
def test_a_classifier_that_throws(kind: str, server: Faulty) -> None:
    def odd(subject: Any) -> bool:
        raise LookupError("mine")

    for classifier, act in ((Classifier(failure_result=odd), 200), (Classifier(failure_on=odd), "reset")):
        breaker, throttle = CircuitBreaker(), ClientThrottle()
        policies: dict[str, Any] = {"breaker": breaker, "throttle": throttle, "retry": RetryPolicy(**QUICK)}
        with client(kind, classifier=classifier, connections=1, timeout=2, **policies) as made:
            for _ in range(2):
                server.script.append(act)
                with pytest.raises(LookupError, match="mine"):
                    made.send("POST", server.url, b"x")
        assert counts(breaker) == (2, 2) and throttle.stats().refused == 2


@pytest.mark.parametrize("kind", CLIENTS)
def test_a_loop_of_redirects_is_no_failure(kind: str, server: Faulty) -> None:
    breaker = CircuitBreaker()
    server.mode = "loop"
    loops = (httpx.TooManyRedirects, requests.TooManyRedirects, aiohttp.TooManyRedirects)
    with client(kind, breaker=breaker, retry=RetryPolicy(**QUICK)) as made, pytest.raises(loops):
        made.send("GET", server.url)
    asked = len(server.asked)
    assert 10 <= asked <= 31 and counts(breaker) == (min(asked, 20), 0), "each hop is an answer"


@pytest.mark.parametrize("kind", CLIENTS)
def test_nothing_is_waited_for_where_no_body_comes(kind: str, server: Faulty) -> None:
    breaker = CircuitBreaker()
    with client(kind, breaker=breaker) as made:
        server.script.append(204)
        response = made.opened(server.url)
        assert counts(breaker) == (1, 0)
        made.abandon(response)
        made.send("HEAD", server.url)
        assert counts(breaker) == (2, 0)


@pytest.mark.parametrize("kind", CLIENTS)
def test_each_dependency_has_its_own(kind: str, server: Faulty) -> None:
    class Registry:
        def __init__(self) -> None:
            self.made: dict[str, CircuitBreaker] = {}

        def get(self, key: str) -> CircuitBreaker:
            return self.made.setdefault(key, opening())

    registry = Registry()
    with faulty() as other, client(kind, breaker=registry) as made:
        other.mode = 500
        assert made.send("GET", other.url).status == 500
        with pytest.raises(CircuitOpenError):
            made.send("GET", other.url)
        assert made.send("GET", server.url).status == 200
        assert set(registry.made) == {other.url[7:], server.url[7:]}
    bank = opening()
    chosen: list[Any] = [lambda key: bank if key == "/bank" else None, {"/bank": bank}]
    for breaker in chosen:
        bank.reset()

        def path(request: Any) -> str:
            return "/" + str(request.url).rpartition("/")[2]

        with client(kind, breaker=breaker, key=path) as made:
            server.mode = 500
            for name in ("bank", "shop", "shop"):
                assert made.send("GET", f"{server.url}/{name}").status == 500
            with pytest.raises(CircuitOpenError):
                made.send("GET", f"{server.url}/bank")


@pytest.mark.parametrize("kind", CLIENTS)
def test_a_throttle_learns_from_answers(kind: str, server: Faulty) -> None:
    breaker, throttle = CircuitBreaker(min_calls=20), ClientThrottle(min_calls=1, max_rejection=1, k=1, force_pass=3600)
    server.mode = 503
    with client(kind, breaker=breaker, throttle=throttle) as made:
        for expected in (ThrottledError, ERRORS[kind]):
            with pytest.raises(expected):
                for _ in range(500):
                    made.send("GET", server.url)
    stats = throttle.stats()
    assert stats.accepted == 0 and stats.refused == len(server.asked) == counts(breaker)[0] and stats.rejected == 2


@pytest.mark.parametrize("kind", CLIENTS)
def test_retry_on_sees_the_clients_own_errors(kind: str, server: Faulty) -> None:
    seen: list[Any] = []

    def once(error: Exception) -> bool:
        seen.append(error)
        return len(seen) < 2

    with client(kind, retry=RetryPolicy(retry_on=once, **QUICK)) as made:
        server.script.extend([500, "404"])
        assert made.send("GET", server.url).status == 404
    assert [type(error).__name__ for error in seen] == [
        {"httpx": "HTTPStatusError", "requests": "HTTPError", "aiohttp": "ClientResponseError"}[kind.split()[0]]
    ] * 2


@pytest.mark.parametrize("kind", ASYNC)
def test_one_breaker_in_two_event_loops(kind: str, server: Faulty) -> None:
    breaker, budget = CircuitBreaker(window_calls=200, min_calls=200), RetryBudget()

    def work() -> None:
        with client(kind, breaker=breaker, retry=RetryPolicy(budget=budget, **QUICK)) as made:
            for _ in range(40):
                assert made.send("GET", server.url).status == 200

    for thread in [Thread(work), Thread(work)]:
        thread.finish()
    assert counts(breaker) == (80, 0) and budget.stats().deposited == 80


@pytest.mark.parametrize("kind", CLIENTS)
def test_a_deadline_is_told_to_the_server(kind: str, server: Faulty) -> None:
    late = {"requests": requests.Timeout, "aiohttp": aiohttp.ServerTimeoutError}.get(kind, httpx.TimeoutException)
    clock = ManualClock()
    with client(kind, retry=RetryPolicy(**QUICK)) as made:
        server.script.extend([503, "loop", 200])
        with Deadline.after(4, clock=clock):
            assert made.send("GET", server.url, x_request_timeout_ms="99999").status == 200
            server.script.append("503|Retry-After: 5")
            assert made.send("GET", server.url).status == 503, "a wait that would reach the deadline"
            clock.advance(4)
            for expected in (TimeoutExceededError, TimeoutError, late):
                with pytest.raises(expected, match="its deadline had passed before it was sent") as raised:
                    made.send("GET", server.url)
            copy = pickle.loads(pickle.dumps(raised.value))
            assert (type(copy), str(copy)) == (type(raised.value), str(raised.value))
        assert made.send("GET", server.url).status == 200
    told = [asked.headers.get("x-request-timeout-ms") for asked in server.asked]
    assert told == ["3800"] * 4 + [None]
    with client(kind, deadline_header="grpc-timeout") as made, Deadline.after(4, clock=clock):
        made.send("GET", server.url)
    with client(kind, deadline_header=None) as made, Deadline.after(4, clock=clock):
        made.send("GET", server.url)
    first, second = server.asked[-2:]
    assert first.headers["grpc-timeout"] == "3800m"
    assert not {"grpc-timeout", "x-request-timeout-ms"} & {*second.headers}


def test_what_the_transport_does_not_know_goes_to_the_clients_own() -> None:
    assert isinstance(tidegate.httpx.Transport(http2=False, verify=False)._inner, httpx.HTTPTransport)
    inner = httpx.AsyncHTTPTransport()
    assert tidegate.httpx.AsyncTransport(inner)._inner is inner
    with pytest.raises(TypeError, match="^verify: the transport"):
        tidegate.httpx.AsyncTransport(inner, verify=False)
    with pytest.raises(TypeError, match="^pool_maxsize: the adapter"):
        tidegate.requests.Adapter(requests.adapters.HTTPAdapter(), pool_maxsize=3)
    with pytest.raises(ConfigError, match="^max_retries"):
        tidegate.requests.Adapter(retry=RetryPolicy(), max_retries=3)
    for wrong in (5, httpx.HTTPTransport, requests.adapters.HTTPAdapter, httpx.AsyncHTTPTransport()):
        with pytest.raises(TypeError, match=r"^transport: expected what has handle_request, got"):
            tidegate.httpx.Transport(wrong)
        with pytest.raises(TypeError, match=r"^adapter: expected an adapter of requests, got"):
            tidegate.requests.Adapter(wrong)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"^transport: expected what has handle_async_request, got HTTPTransport"):
        tidegate.httpx.AsyncTransport(httpx.HTTPTransport())


@pytest.mark.parametrize("make", [tidegate.httpx.Transport, tidegate.requests.Adapter, tidegate.aiohttp.Middleware])
def test_arguments_are_checked_when_they_are_given(make: Any) -> None:
    async def later(key: str) -> None: ...

    for wrong, message in [
        ({"breaker": "bank"}, "breaker: expected a CircuitBreaker, or what gives"),
        ({"breaker": CircuitBreaker}, "breaker: expected a CircuitBreaker"),
        ({"breaker": later}, "breaker: expected a CircuitBreaker"),
        ({"breaker": lambda: None}, "breaker: expected a function of the key"),
        ({"throttle": 5}, "throttle: expected a ClientThrottle"),
        ({"key": "host"}, "key: expected a function of the request"),
        ({"retry": 3}, "retry: expected a RetryPolicy"),
        ({"classifier": len}, "classifier: expected a Classifier"),
        ({"budget": RetryBudget()}, "budget: nothing is retried"),
        ({"budget": RetryBudget(), "retry": RetryPolicy(budget=RetryBudget())}, "budget: the RetryPolicy has one"),
        ({"outcome_at": "end"}, "outcome_at: expected"),
        ({"deadline_header": ""}, "deadline_header: the name of a header"),
        ({"idempotent": "no"}, "idempotent: expected a function"),
    ]:
        with pytest.raises((TypeError, ConfigError), match=f"^{message}"):
            make(**wrong)


def test_a_chooser_that_gives_something_else(server: Faulty) -> None:
    with client("httpx", breaker=lambda key: "bank") as made, pytest.raises(TypeError, match="^breaker: expected"):
        made.send("GET", server.url)


def test_raw_reads_of_requests_reach_the_end(server: Faulty, clock: ManualClock) -> None:
    for read in (lambda raw: raw.read(), lambda raw: [*iter(lambda: raw.read(2), b"")], lambda raw: [*raw]):
        breaker = half_open(clock)
        with client("requests", breaker=breaker) as made:
            response = made.opened(server.url)
            assert breaker.state == "half_open"
            read(response.raw)
            assert breaker.state == "closed"
            response.close()


def test_the_raw_body_of_requests_is_urllib3_s(server: Faulty, clock: ManualClock) -> None:
    """Whatever reads it tells the breaker, and what is set on it reaches what reads."""

    def copied(raw: Any) -> bytes:
        raw.decode_content = True
        shutil.copyfileobj(raw, copy := io.BytesIO())
        return copy.getvalue()

    def with_it(raw: Any) -> bytes:
        with raw as body:
            data: bytes = body.read()
        assert raw.closed
        return data

    reads = (
        copied, with_it, lambda raw: next(raw) + b"".join(raw), lambda raw: raw.data, lambda raw: raw.drain_conn(),
    )  # fmt: skip
    server.mode = "gzip"
    for read in reads:
        breaker = half_open(clock)
        with client("requests", breaker=breaker) as made:
            response = made.opened(server.url)
            response.raw.decode_content = True
            assert read(response.raw) in (b"done", None) and breaker.state == "closed"
            response.close()
    server.mode = "reset body"
    for read in reads:
        breaker = half_open(clock)
        with client("requests", breaker=breaker) as made:
            response = made.opened(server.url)
            with contextlib.suppress(OSError, urllib3.exceptions.HTTPError):
                read(response.raw)
            assert breaker.state == "open"
            response.close()


def test_a_websocket_is_well_once_it_is_open() -> None:
    from served import served

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            while (await receive())["type"] != "lifespan.shutdown":
                await send({"type": "lifespan.startup.complete"})
            await send({"type": "lifespan.shutdown.complete"})
            return
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": (await receive())["text"]})
        await receive()

    breaker = CircuitBreaker()

    async def scene(url: str) -> None:
        middleware = tidegate.aiohttp.Middleware(breaker=breaker, retry=RetryPolicy())
        async with aiohttp.ClientSession(middlewares=[middleware]) as session, session.ws_connect(url) as socket:
            assert counts(breaker) == (1, 0)
            await socket.send_str("hello")
            assert await socket.receive_str() == "hello"

    with served(app) as url:
        run(scene(url))
    assert counts(breaker) == (1, 0)


def test_a_wait_is_that_of_its_clock(server: Faulty, clock: ManualClock) -> None:
    policy = RetryPolicy(base=3600, max_delay=3600, jitter="none", clock=clock)
    for kind in CLIENTS:
        budget = RetryBudget()
        server.script.append(503)

        def work(kind: str = kind, budget: RetryBudget = budget) -> int:
            with client(kind, retry=policy, budget=budget) as made:
                return made.send("GET", server.url).status

        thread = Thread(work)
        wait_until(lambda budget=budget: budget.stats().withdrawn == 1)  # type: ignore[misc]
        while thread.is_alive():
            clock.advance(600)
            time.sleep(0.001)
        assert thread.finish() == 200
    assert math.isclose(len(server.asked), 2 * len(CLIENTS))
