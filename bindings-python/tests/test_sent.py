"""Permits of routes whose answer is sent after they have returned, and what routes answer to one client."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp.web
import pytest
from conftest import ManualClock, wait_until
from fastapi import BackgroundTasks, Depends, FastAPI
from fastapi.responses import FileResponse, PlainTextResponse, StreamingResponse
from fastapi.sse import EventSourceResponse
from served import ask, served, statuses
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException, WebSocketException
from starlette.responses import Response
from starlette.routing import Route
from werkzeug.exceptions import InternalServerError, NotFound

from tidegate import CircuitBreaker, ClientThrottle, ConcurrencyLimiter, Resilience, RetryPolicy, http
from tidegate.fastapi import breaker, install_exception_handlers

# More than the buffers of two sockets and of the server hold.
SIZE = 8 << 20


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("sent") / "file.bin"
    path.write_bytes(bytes(SIZE))
    return path


class Own(Response):
    """Sends in a way of its own."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(SIZE >> 16):
            await send({"type": "http.response.body", "body": bytes(1 << 16), "more_body": True})
        await send({"type": "http.response.body", "body": b""})
        if self.background is not None:
            await self.background()


def parts() -> Iterator[bytes]:
    for _ in range(SIZE >> 16):
        yield bytes(1 << 16)


KINDS: dict[str, Callable[..., Any]] = {
    "file": lambda path, **more: FileResponse(path, **more),
    "stream": lambda path, **more: StreamingResponse(parts(), **more),
    "own": lambda path, **more: Own(**more),
}


@contextlib.contextmanager
def unread(url: str, path: str, *fields: str) -> Iterator[socket.socket]:
    """A request whose answer has begun, and nobody reads on."""
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", urlsplit(url).port or 0))
        lines = [f"GET {path} HTTP/1.1", "Host: x", "Connection: close", *fields]
        client.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        assert client.recv(1)
        yield client


def read(client: socket.socket) -> None:
    while client.recv(1 << 16):
        pass


def routed(guarded: Any, answer: Callable[[], Any], is_async: bool) -> FastAPI:
    app = FastAPI()
    install_exception_handlers(app)

    async def asynchronous() -> Any:
        return answer()

    app.get("/")(guarded(asynchronous if is_async else lambda: answer()))
    return app


@pytest.mark.parametrize("is_async", [True, False])
@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        *((kind, ()) for kind in KINDS),
        ("file", ("Range: bytes=1-",)),
        ("file", (f"Range: bytes=1-{SIZE - 9},{SIZE - 4}-",)),
    ],
)
def test_a_limiter_s_permit_is_held_until_the_answer_is_sent(
    kind: str, is_async: bool, fields: tuple[str, ...], file: Path
) -> None:
    places = ConcurrencyLimiter(1)
    with served(routed(places, lambda: KINDS[kind](file), is_async)) as url:
        with unread(url, "/", *fields) as client:
            assert places.in_use == 1
            assert statuses(ask(url, "/")) == [503]
            read(client)
        wait_until(lambda: places.in_use == 0)
        with unread(url, "/", *fields):
            assert places.in_use == 1
        # Who hangs up in the middle ends it too.
        wait_until(lambda: places.in_use == 0)


@pytest.mark.parametrize("is_async", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_a_breaker_judges_an_answer_when_it_is_sent(kind: str, is_async: bool, file: Path) -> None:
    circuit = CircuitBreaker("files", consecutive_failures=1)
    with served(routed(circuit, lambda: KINDS[kind](file), is_async)) as url:
        # Who hangs up says nothing of the call, unless the answer takes no notice.
        if kind != "own":
            with unread(url, "/"):
                assert circuit.stats().calls == 0
        with unread(url, "/") as client:
            assert circuit.stats().calls == 0
            read(client)
        wait_until(lambda: circuit.stats().calls == 1)
        assert circuit.stats().failed == 0


@pytest.mark.parametrize("is_async", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_a_resilience_holds_on_until_the_answer_is_sent(kind: str, is_async: bool, file: Path) -> None:
    circuit, places = CircuitBreaker("both", consecutive_failures=1), ConcurrencyLimiter(1)
    both = Resilience(breaker=circuit, concurrency=places, total_timeout=60, retry=RetryPolicy(2, base=0))
    with served(routed(both, lambda: KINDS[kind](file), is_async)) as url:
        with unread(url, "/") as client:
            assert (places.in_use, circuit.stats().calls) == (1, 0)
            assert statuses(ask(url, "/")) == [503]
            read(client)
        wait_until(lambda: (places.in_use, circuit.stats().calls) == (0, 1))
    with contextlib.suppress(Exception):
        both.call(lambda: missing())
    assert (places.in_use, circuit.stats().calls, circuit.state) == (0, 1, "closed")


@pytest.mark.parametrize("is_async", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_background_tasks_are_no_part_of_the_call(kind: str, is_async: bool, file: Path) -> None:
    running, end = threading.Event(), threading.Event()

    def background() -> None:
        running.set()
        end.wait(60)
        raise RuntimeError("a mail that was not sent")

    places, circuit = ConcurrencyLimiter(1), CircuitBreaker("both", consecutive_failures=1)
    app = routed(
        lambda route: places(circuit(route)), lambda: KINDS[kind](file, background=BackgroundTask(background)), is_async
    )
    with served(app) as url:
        assert statuses(ask(url, "/")) == [200]
        assert running.wait(60)
        assert (places.in_use, circuit.stats().calls) == (0, 1)
        end.set()
    assert circuit.state == "closed"


def test_a_head_is_sent_at_once(file: Path) -> None:
    circuit, places = CircuitBreaker("head"), ConcurrencyLimiter(1)

    @circuit
    @places
    async def endpoint(request: Any) -> FileResponse:
        return FileResponse(file)

    with served(Starlette(routes=[Route("/", endpoint)])) as url:
        assert statuses(ask(url, "/", "/", method="HEAD")) == [200, 200]
        wait_until(lambda: (places.in_use, circuit.stats().calls) == (0, 2))


@pytest.mark.parametrize("is_async", [True, False])
def test_an_answer_that_fails_while_it_is_sent_is_a_failure(is_async: bool, tmp_path: Path) -> None:
    circuit = CircuitBreaker("lost", consecutive_failures=2)
    with served(routed(circuit, lambda: FileResponse(tmp_path / "none"), is_async)) as url:
        assert statuses(ask(url, "/", "/", "/")) == [500, 500, 503]
    assert circuit.state == "open"


@pytest.mark.parametrize("is_async", [True, False])
def test_an_answer_is_judged_by_the_classifier(is_async: bool, file: Path) -> None:
    circuit = CircuitBreaker(
        "status", consecutive_failures=1, failure_result=lambda answer: answer.status_code >= 500
    )
    with served(routed(circuit, lambda: StreamingResponse(iter([b"x"]), 502), is_async)) as url:
        assert statuses(ask(url, "/", "/")) == [502, 503]


@pytest.mark.parametrize("is_async", [True, False])
def test_one_response_given_again_and_again_stays_as_it_is(is_async: bool, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"hello")
    shared, circuit, places = FileResponse(tmp_path / "file"), CircuitBreaker("shared"), ConcurrencyLimiter(1)
    app = routed(lambda route: places(circuit(route)), lambda: shared, is_async)
    before = dict(vars(shared))
    with served(app) as url:
        answers = ask(url, *["/"] * 5)
        assert statuses(answers) == [200] * 5
        assert {answer.body for answer in answers} == {b"hello"}
        wait_until(lambda: places.in_use == 0)
    assert type(shared) is FileResponse and vars(shared).keys() - before.keys() <= {"_headers"}
    assert circuit.stats().calls == 5


def test_a_body_that_is_sent_in_another_response() -> None:
    places = ConcurrencyLimiter(1)
    go = asyncio.Event()

    @places
    async def inner() -> StreamingResponse:
        async def body() -> AsyncIterator[bytes]:
            yield b"first"
            await go.wait()

        return StreamingResponse(body())

    app = FastAPI()

    @app.get("/")
    async def outer() -> StreamingResponse:
        return StreamingResponse((await inner()).body_iterator)

    @app.get("/go")
    async def proceed() -> int:
        go.set()
        return places.in_use

    with served(app) as url, unread(url, "/") as client:
        assert ask(url, "/go")[0].body == b"1"
        read(client)
        wait_until(lambda: places.in_use == 0)


def test_an_answer_that_nobody_sends_gives_its_permit_back(file: Path) -> None:
    circuit, places = CircuitBreaker("dropped"), ConcurrencyLimiter(1)
    for make in KINDS.values():
        held = places(circuit(lambda make=make: make(file)))()
        assert isinstance(held, type(make(file))) and places.in_use == 1
        del held
        assert (places.in_use, circuit.stats().calls) == (0, 0)


YIELDING: dict[str, Any] = {
    "async": None,
    "sync": None,
    "events": EventSourceResponse,
    "raw": StreamingResponse,
}


def yielding(kind: str, body: Callable[[], Iterable[Any]]) -> tuple[Any, dict[str, Any]]:
    async def asynchronous() -> AsyncIterator[Any]:
        for part in body():
            yield part

    def synchronous() -> Iterator[Any]:
        yield from body()

    response_class = YIELDING[kind]
    return synchronous if kind == "sync" else asynchronous, (
        {} if response_class is None else {"response_class": response_class}
    )


@pytest.mark.parametrize("kind", YIELDING)
@pytest.mark.parametrize("first", [True, False])
def test_a_route_that_yields_is_judged_by_what_becomes_of_it(kind: str, first: bool) -> None:
    clock = ManualClock()
    circuit = CircuitBreaker("feed", consecutive_failures=2, cooldown=10, clock=clock)
    fails = True

    def body() -> Iterator[str]:
        if not first:
            yield "one"
        if fails:
            raise RuntimeError("the dependency is down")
        yield "two"

    route, options = yielding(kind, body)
    app = FastAPI()
    install_exception_handlers(app)
    app.get("/", dependencies=[Depends(breaker(circuit))], **options)(route)

    def status(url: str) -> int | None:
        # A body that breaks off ends the connection, at times before the head is out.
        with contextlib.suppress(aiohttp.ClientError):
            return ask(url, "/")[0].status
        return None

    with served(app) as url:
        for _ in range(2):
            assert status(url) != 503
        wait_until(lambda: circuit.state == "open")
        assert status(url) == 503
        clock.advance(11)
        assert status(url) != 503
        wait_until(lambda: circuit.stats().opened == 2)
        assert status(url) == 503, "a probe that fails opens it again"
        fails = False
        clock.advance(60)
        assert status(url) == 200
        wait_until(lambda: circuit.state == "closed")


@pytest.mark.parametrize("kind", YIELDING)
def test_a_route_that_yields_is_over_before_its_background_tasks(kind: str) -> None:
    circuit = CircuitBreaker("tasks", consecutive_failures=1)
    running, end = threading.Event(), threading.Event()

    def background() -> None:
        running.set()
        end.wait(60)
        raise RuntimeError("a mail that was not sent")

    def task(tasks: BackgroundTasks) -> None:
        tasks.add_task(background)

    seen: list[int] = []

    def body() -> Iterator[str]:
        seen.append(circuit.stats().calls)
        yield "one"

    route, options = yielding(kind, body)
    app = FastAPI()
    app.get("/", dependencies=[Depends(breaker(circuit)), Depends(task)], **options)(route)
    with served(app) as url:
        assert statuses(ask(url, "/")) == [200]
        assert running.wait(60)
        assert (circuit.stats().calls, seen) == (1, [0])
        end.set()
    assert circuit.state == "closed"


CLIENTS: list[Any] = [
    HTTPException(404),
    WebSocketException(1008),
    NotFound(),
    aiohttp.web.HTTPNotFound(),
]
FAILURES: list[Any] = [
    HTTPException(500),
    WebSocketException(1011),
    InternalServerError(),
    aiohttp.web.HTTPBadGateway(),
    aiohttp.ClientResponseError(None, (), status=404),  # type: ignore[arg-type]
    RuntimeError(),
]


def by_hand(circuit: CircuitBreaker, call: Callable[[], Any]) -> None:
    with circuit.acquire():
        call()


def reported(circuit: CircuitBreaker, call: Callable[[], Any]) -> None:
    permit = circuit.acquire()
    try:
        call()
    except Exception as error:
        permit.error(error)
        raise


# Whoever runs a function under a breaker.
WAYS: dict[str, Callable[[CircuitBreaker, Callable[[], Any]], Any]] = {
    "decorated": lambda circuit, call: circuit(call)(),
    "called": lambda circuit, call: circuit.call(call),
    "by hand": by_hand,
    "reported": reported,
    "resilience": lambda circuit, call: Resilience(breaker=circuit).call(call),
    "with a retry": lambda circuit, call: Resilience(breaker=circuit, retry=RetryPolicy(1)).call(call),
    "a resilience's function": lambda circuit, call: Resilience(breaker=circuit)(call)(),
}
WAYS_ASYNC: dict[str, Callable[[CircuitBreaker, Callable[[], Any]], Any]] = {
    "decorated async": lambda circuit, call: circuit(call)(),
    "called async": lambda circuit, call: circuit.call_async(call),
    "resilience async": lambda circuit, call: Resilience(breaker=circuit).call_async(call),
}


@pytest.mark.parametrize("way", [*WAYS, *WAYS_ASYNC])
@pytest.mark.parametrize("error", [*CLIENTS, *FAILURES], ids=lambda error: f"{type(error).__module__}.{error!r}"[:60])
def test_what_a_route_answers_to_one_client_is_no_failure(error: BaseException, way: str) -> None:
    def raises() -> None:
        raise error

    async def raises_later() -> None:
        raise error

    for spelt in ({}, {"failure_on": Exception}, {"failure_on": OSError}, {"classifier": http()}):
        circuit = CircuitBreaker("answers", consecutive_failures=1, **spelt)
        with pytest.raises(type(error)):
            asyncio.run(WAYS_ASYNC[way](circuit, raises_later)) if way in WAYS_ASYNC else WAYS[way](circuit, raises)
        if any(error is one for one in CLIENTS):
            assert (circuit.state, circuit.stats().calls) == ("closed", 0), spelt
        elif not spelt or spelt.get("failure_on") is Exception:
            assert circuit.state == "open"


def test_who_names_such_an_answer_gets_it_counted() -> None:
    named: list[Any] = [HTTPException, lambda error: error.status_code == 404, (OSError, HTTPException)]
    for failure_on in named:
        circuit = CircuitBreaker("named", consecutive_failures=1, failure_on=failure_on)
        with pytest.raises(HTTPException):
            circuit.call(lambda: missing())
        assert circuit.state == "open"


@pytest.mark.parametrize("error", CLIENTS, ids=lambda error: type(error).__name__)
def test_such_an_answer_is_not_retried_and_no_word_of_a_backend(error: Exception) -> None:
    calls: list[int] = []

    def raises() -> None:
        calls.append(1)
        raise error

    for policy in (RetryPolicy(3, base=0), RetryPolicy(3, base=0, retry_on=http())):
        with pytest.raises(type(error)):
            policy.call(raises)
        assert len(calls) == 1
        calls.clear()
    for throttle in (ClientThrottle(), ClientThrottle(failure_on=http()), ClientThrottle(failure_on=OSError)):
        with pytest.raises(type(error)):
            throttle.call(raises)
        assert throttle.stats().accepted == throttle.stats().refused == 0


def missing() -> Any:
    raise HTTPException(404)


@pytest.mark.parametrize("is_async", [True, False])
def test_what_clients_do_opens_no_circuit_of_a_decorated_route(is_async: bool) -> None:
    circuit = CircuitBreaker("decorated", consecutive_failures=1)
    with served(routed(circuit, missing, is_async)) as url:
        assert statuses(ask(url, *["/"] * 4)) == [404] * 4
    assert (circuit.state, circuit.stats().calls) == ("closed", 0)


def test_a_plain_response_is_over_when_the_route_is() -> None:
    circuit = CircuitBreaker("plain")
    answer = PlainTextResponse("x")
    assert circuit(lambda: answer)() is answer
    assert circuit.stats().calls == 1
