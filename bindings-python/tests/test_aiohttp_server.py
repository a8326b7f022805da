"""aiohttp's handlers under a breaker or a concurrency limiter: what they hold until the answer is sent."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import io
import sys
import socket
import sys
import termios
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from aiohttp import web
from conftest import ManualClock, Thread, wait_until
from test_sent import SIZE, read, unread

from tidegate import CircuitBreaker, ConcurrencyLimiter, RateLimitedError, TokenBucket
from tidegate.aiohttp import refusal_middleware


@contextlib.contextmanager
def served_aiohttp(handler: Any, *middlewares: Any) -> Iterator[str]:
    ports: list[int] = []
    loop, stop = asyncio.new_event_loop(), asyncio.Event()

    async def serve() -> None:
        app = web.Application(middlewares=middlewares)
        app.router.add_route("*", "/", handler)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        ports.append(runner.addresses[0][1])
        await stop.wait()
        await runner.cleanup()

    def run() -> None:
        try:
            loop.run_until_complete(serve())
            loop.run_until_complete(loop.shutdown_default_executor())
        finally:
            loop.close()

    thread = Thread(run)
    wait_until(lambda: bool(ports) or not thread.is_alive())
    try:
        yield f"http://127.0.0.1:{ports[0]}"
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.finish()


async def parts() -> AsyncIterator[bytes]:
    for _ in range(SIZE >> 16):
        yield bytes(1 << 16)


KINDS: dict[str, Callable[[Path], Any]] = {
    "file": web.FileResponse,
    "stream": lambda file: web.Response(body=parts()),
    "open file": lambda file: web.Response(body=io.BytesIO(file.read_bytes())),
}


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("aiohttp") / "file.bin"
    path.write_bytes(bytes(SIZE))
    return path


def handler_of(guard: Any, answer: Callable[[], Any]) -> Any:
    async def handler(request: web.Request) -> Any:
        return answer()

    return guard(handler)


@pytest.mark.parametrize("kind", KINDS)
def test_a_permit_is_held_until_the_answer_is_sent(kind: str, file: Path) -> None:
    places = ConcurrencyLimiter(1)
    with served_aiohttp(handler_of(places, lambda: KINDS[kind](file))) as url:
        with unread(url, "/") as client:
            assert places.in_use == 1
            read(client)
        wait_until(lambda: places.in_use == 0)
        with unread(url, "/"):
            assert places.in_use == 1
        # Who hangs up in the middle ends it too.
        wait_until(lambda: places.in_use == 0)
        answer = requests.get(url, timeout=30)
        assert (answer.status_code, len(answer.content)) == (200, SIZE)
        wait_until(lambda: places.in_use == 0)
        assert requests.head(url, timeout=30).status_code == 200
        wait_until(lambda: places.in_use == 0)


@pytest.mark.parametrize("kind", KINDS)
def test_a_breaker_is_told_when_the_answer_is_sent(kind: str, file: Path, clock: ManualClock) -> None:
    circuit = CircuitBreaker("answers", consecutive_failures=1, cooldown=1, clock=clock)
    with served_aiohttp(handler_of(circuit, lambda: KINDS[kind](file))) as url:
        with unread(url, "/") as client:
            assert circuit.stats().calls == 0
            read(client)
        wait_until(lambda: circuit.stats().calls == 1)
        circuit.acquire().failure()
        clock.advance(1)
        with unread(url, "/"):
            assert circuit.state == "half_open"
        # A client that hangs up says nothing, and the probe is there for the next.
        wait_until(lambda: circuit.try_acquire() is not None)
        assert circuit.state == "half_open"


@pytest.mark.parametrize("reads", [1, SIZE >> 6, SIZE >> 2])
@pytest.mark.parametrize("kind", KINDS)
def test_a_client_that_hangs_up_under_way_is_no_failure(kind: str, reads: int, file: Path) -> None:
    circuit, places = CircuitBreaker("left", consecutive_failures=1), ConcurrencyLimiter(1)
    with served_aiohttp(handler_of(lambda handler: circuit(places(handler)), lambda: KINDS[kind](file))) as url:
        with unread(url, "/") as client:
            left = reads
            while left > 0:
                left -= len(client.recv(left))
            # The server has sent all that fits into the buffers of two sockets, and waits.
            wait_until(lambda: is_stuck(client))
            assert places.in_use == 1
        wait_until(lambda: places.in_use == 0)
        assert (circuit.state, circuit.stats().calls) == ("closed", 0)


def is_stuck(client: socket.socket) -> bool:
    """Whether what the client has not read grows no more."""

    def waiting() -> int:
        return int.from_bytes(fcntl.ioctl(client, termios.FIONREAD, bytes(4)), sys.byteorder)

    before = waiting()
    time.sleep(0.05)
    return 0 < before == waiting()


@pytest.mark.filterwarnings("ignore")
def test_a_body_that_fails_is_a_failure() -> None:
    async def failing() -> AsyncIterator[bytes]:
        yield b"a"
        raise ConnectionResetError("the store")

    circuit, places = CircuitBreaker("failing", consecutive_failures=1), ConcurrencyLimiter(1)
    with served_aiohttp(handler_of(circuit, lambda: web.Response(body=failing()))) as url:
        with contextlib.suppress(requests.RequestException):
            requests.get(url, timeout=30)
        wait_until(lambda: circuit.state == "open")
    with served_aiohttp(handler_of(places, lambda: web.Response(body=failing()))) as url:
        with contextlib.suppress(requests.RequestException):
            requests.get(url, timeout=30)
        wait_until(lambda: places.in_use == 0)


def test_what_has_its_body_or_is_sent_by_the_handler_is_over_when_that_returns() -> None:
    circuit = CircuitBreaker("plain")
    plain = web.Response(text="a")

    async def sends(request: web.Request) -> Any:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"a")
        return response

    async def gives(request: web.Request) -> Any:
        return plain

    assert asyncio.run(circuit(gives)(None)) is plain and type(plain) is web.Response
    with served_aiohttp(circuit(sends)) as url:
        assert requests.get(url, timeout=30).text == "a"
    assert circuit.stats().calls == 2


def test_a_refusal_that_leaves_a_handler_is_answered() -> None:
    circuit = CircuitBreaker("refusing", consecutive_failures=1, cooldown=1000)
    circuit.acquire().failure()
    once = TokenBucket("1/hour")
    once.acquire()

    async def limited(request: web.Request) -> Any:
        once.acquire(timeout=0)

    async def grouped(request: web.Request) -> Any:
        try:
            once.acquire(timeout=0)
        except RateLimitedError as error:
            raise (ExceptionGroup("of a task group", [error]) if sys.version_info >= (3, 11) else error) from None

    async def mistaken(request: web.Request) -> Any:
        CircuitBreaker("it", cooldown=-1)

    async def missing(request: web.Request) -> Any:
        raise web.HTTPNotFound

    def asked(handler: Any, **options: Any) -> tuple[int, int, str]:
        with served_aiohttp(handler, refusal_middleware(**options)) as url:
            answer = requests.get(url, timeout=30)
            return answer.status_code, int(answer.headers.get("Retry-After", 0)), answer.headers["Content-Type"]

    problem = "application/problem+json"
    assert asked(handler_of(circuit, web.Response)) == (503, 1000, problem)
    assert asked(handler_of(circuit, web.Response), overload_status=529) == (529, 1000, problem)
    for handler in (limited, grouped):
        assert asked(handler) == (429, 3600, problem)
    assert asked(mistaken)[:2] == (500, 0) and asked(missing)[:2] == (404, 0)
