"""Flask's views under a breaker or a concurrency limiter: what they hold until a WSGI server has closed the body."""

from __future__ import annotations

import contextlib
import functools
import logging
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import waitress.server
import waitress.wasyncore
from conftest import Thread, wait_until
from flask import Flask, Response, request, send_file, stream_with_context
from flask.views import MethodView
from served import served_wsgi
from test_sent import read, unread
from werkzeug.exceptions import NotFound
from werkzeug.wrappers import Response as Plain

from tidegate import (
    AccessDeniedError,
    ArenaError,
    CircuitBreaker,
    CircuitOpenError,
    ConcurrencyLimiter,
    ConcurrencyLimitError,
    ConfigError,
    Gate,
    ManualClock,
    OverloadedError,
    QueueClosedError,
    QueueFullError,
    RateLimitedError,
    TimeoutExceededError,
    TokenBucket,
    http,
)
from tidegate.flask import install_error_handlers

# More than the buffers of two sockets and of the server hold.
SIZE = 8 << 20


@contextlib.contextmanager
def served_waitress(app: Any) -> Iterator[str]:
    sockets: dict[int, Any] = {}
    server: Any = waitress.server.create_server(
        app, map=sockets, host="127.0.0.1", port=0, threads=4, outbuf_high_watermark=1 << 16
    )
    stop = threading.Event()

    def serve() -> None:
        while not stop.is_set():
            waitress.wasyncore.loop(timeout=0.05, map=sockets, count=1)
        server.task_dispatcher.shutdown()
        waitress.wasyncore.close_all(sockets)

    thread = Thread(serve)
    try:
        yield f"http://127.0.0.1:{server.effective_port}"
    finally:
        stop.set()
        thread.finish()


SERVERS: dict[str, Any] = {"waitress": served_waitress, "werkzeug": served_wsgi}


def parts() -> Iterator[bytes]:
    for _ in range(SIZE >> 16):
        yield bytes(1 << 16)


class Parts:
    """An iterator of one's own, which a server closes."""

    def __init__(self) -> None:
        self._parts, self.closed = parts(), False

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return next(self._parts)

    def close(self) -> None:
        self.closed = True


KINDS: dict[str, Callable[[Path], Any]] = {
    "generator": lambda file: parts(),
    "with context": lambda file: stream_with_context(parts()),
    "iterator": lambda file: Parts(),
    "map": lambda file: map(bytes, [1 << 16] * (SIZE >> 16)),
    "tuple": lambda file: (parts(), 200, {"X-Own": "yes"}),
    "response": lambda file: Response(parts()),
    "plain response": lambda file: Plain(parts()),
    "response in a tuple": lambda file: (Response(parts()), 201),
    "file": lambda file: send_file(file),
    "open file": lambda file: file.open("rb"),
}


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("flask") / "file.bin"
    # In lines, for those who iterate it.
    path.write_bytes((bytes((1 << 16) - 1) + b"\n") * (SIZE >> 16))
    return path


def view_of(guard: Any, kind: str, file: Path) -> Flask:
    app = Flask(__name__)
    install_error_handlers(app)
    app.get("/")(guard(functools.wraps(view_of)(lambda: KINDS[kind](file))))
    return app


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_permit_is_held_until_the_body_is_closed(kind: str, server: str, file: Path) -> None:
    places = ConcurrencyLimiter(1)
    with SERVERS[server](view_of(places, kind, file)) as url:
        with unread(url, "/") as client:
            assert places.in_use == 1
            refused = requests.get(url, timeout=30)
            assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1"), "the place is taken"
            read(client)
        wait_until(lambda: places.in_use == 0)
        with unread(url, "/"):
            assert places.in_use == 1
        # Who hangs up in the middle ends it too.
        wait_until(lambda: places.in_use == 0)
        answer = requests.get(url, timeout=30)
        assert len(answer.content) == SIZE
        assert (answer.headers.get("X-Own"), answer.status_code) in ((None, 200), ("yes", 200), (None, 201))
        wait_until(lambda: places.in_use == 0)
        assert requests.head(url, timeout=30).status_code < 300
        wait_until(lambda: places.in_use == 0)


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_breaker_is_told_when_the_body_is_closed(kind: str, server: str, file: Path, clock: ManualClock) -> None:
    circuit = CircuitBreaker("bodies", consecutive_failures=1, cooldown=1, clock=clock)
    with SERVERS[server](view_of(circuit, kind, file)) as url:
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


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("wrap", [lambda body: body, Response, lambda body: (body, 200)])
def test_a_body_that_fails_is_a_failure(wrap: Any, server: str) -> None:
    def failing() -> Iterator[bytes]:
        yield b"a"
        raise ConnectionResetError("the store")

    circuit, places = CircuitBreaker("failing", consecutive_failures=1), ConcurrencyLimiter(1)
    app = Flask(__name__)
    app.get("/")(circuit(places(lambda: wrap(failing()))))
    with SERVERS[server](app) as url:
        with contextlib.suppress(requests.RequestException):
            assert requests.get(url, timeout=30).content == b"a"
        wait_until(lambda: places.in_use == 0)
    assert circuit.state == "open"


def test_a_view_s_answer_is_judged_by_the_classifier(file: Path) -> None:
    circuit = CircuitBreaker("judged", consecutive_failures=1, classifier=http())
    app = Flask(__name__)
    app.get("/")(circuit(lambda: Response(iter([b"no", b"ne"]), 503)))
    with served_waitress(app) as url:
        assert requests.get(url, timeout=30).content == b"none"
        wait_until(lambda: circuit.state == "open")


def test_views_of_classes_below_other_decorators_and_async() -> None:
    places = ConcurrencyLimiter(1)

    def other(view: Any) -> Any:
        return functools.wraps(view)(lambda *args, **kwargs: view(*args, **kwargs))

    class Method(MethodView):
        @places
        def get(self) -> Any:
            return parts()

    class Decorated(MethodView):
        decorators = [places]

        def get(self) -> Any:
            return parts()

    app = Flask(__name__)
    app.add_url_rule("/method", view_func=Method.as_view("method"))
    app.add_url_rule("/decorated", view_func=Decorated.as_view("decorated"))
    app.get("/other")(other(places(other(lambda: parts()))))
    with served_waitress(app) as url:
        for path in ("/method", "/decorated", "/other"):
            with unread(url, path) as client:
                assert places.in_use == 1, path
                read(client)
            wait_until(lambda: places.in_use == 0)


def test_what_a_view_calls_keeps_its_iterators() -> None:
    """Only of the view itself are they the body: another function's may be a cursor, with more to it."""
    places, circuit = ConcurrencyLimiter(1), CircuitBreaker("rows")
    cursor = Parts()
    seen: list[Any] = []
    app = Flask(__name__)

    @app.get("/")
    def view() -> str:
        seen.extend([places(lambda: cursor)(), circuit(lambda: cursor)(), places(lambda: (cursor, 1))()])
        return "fine"

    assert app.test_client().get("/").text == "fine"
    assert seen == [cursor, cursor, (cursor, 1)] and places.in_use == 0 and circuit.stats().calls == 1
    assert places(lambda: cursor)() is cursor, "outside of requests too"


def test_a_response_that_is_given_again_and_again_grows_nothing() -> None:
    class Again:
        def __iter__(self) -> Iterator[bytes]:
            return iter([b"a", b"b"])

    places, shared = ConcurrencyLimiter(1), Response(Again())
    app = Flask(__name__)
    app.get("/")(places(lambda: shared))
    client = app.test_client()
    assert {client.get("/").text for _ in range(50)} == {"ab"}
    assert type(shared.response) is Again and places.in_use == 0


def test_a_body_that_is_read_or_dropped_by_the_application_is_over() -> None:
    places = ConcurrencyLimiter(1)
    app = Flask(__name__)
    app.get("/")(places(lambda: Response(iter([b"a", b"b"]))))

    @app.after_request
    def after(response: Response) -> Response:
        if "read" in request.args:
            response.headers["X-Length"] = str(len(response.get_data()))
            assert places.in_use == 0
            return response
        return Response("instead")

    client = app.test_client()
    assert client.get("/?read").headers["X-Length"] == "2"
    assert client.get("/").text == "instead"
    wait_until(lambda: places.in_use == 0)


def test_the_body_is_closed_before_its_place_is_free() -> None:
    places, seen = ConcurrencyLimiter(1), list[int]()

    def body() -> Iterator[bytes]:
        try:
            yield b"a"
            yield b"b"
        finally:
            seen.append(places.in_use)

    app = Flask(__name__)
    app.get("/")(places(lambda: body()))
    with app.test_client().get("/", buffered=False) as answer:
        assert next(iter(answer.response)) == b"a"
    assert seen == [1] and places.in_use == 0


def test_what_a_view_raises_or_gives_at_once_is_over_when_it_returns() -> None:
    circuit, places = CircuitBreaker("plain", consecutive_failures=1), ConcurrencyLimiter(1)

    def missing() -> Any:
        raise NotFound

    app = Flask(__name__)
    views = {"/text": lambda: "a", "/response": lambda: Response("a"), "/tuple": lambda: ("a", 201)}
    for path, view in views.items():
        app.get(path, endpoint=path)(circuit(places(view)))
    app.get("/missing")(circuit(places(missing)))
    client = app.test_client()
    assert [client.get(path).status_code for path in (*views, "/missing")] == [200, 200, 201, 404]
    assert circuit.stats().calls == 3 and circuit.state == "closed" and places.in_use == 0


REFUSALS: list[tuple[Exception, int, str | None]] = [
    (RateLimitedError(retry_after=7), 429, "7"),
    (CircuitOpenError("it", 3.2), 503, "4"),
    (ConcurrencyLimitError("full", 0.1), 503, "1"),
    (OverloadedError("shed", 2), 503, "2"),
    (QueueFullError(), 503, "1"),
    (QueueClosedError(), 503, "1"),
    (TimeoutExceededError("late"), 504, None),
    (AccessDeniedError("no"), 403, None),
]


def raising(error: Exception) -> Flask:
    app = Flask(__name__)

    @app.get("/")
    def view() -> str:
        raise error

    return app


@pytest.mark.parametrize(("error", "status", "wait"), REFUSALS, ids=lambda value: type(value).__name__)
def test_refusals_are_answered(
    error: Exception, status: int, wait: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    app = raising(error)
    install_error_handlers(app)
    with served_waitress(app) as url:
        answer = requests.get(url, timeout=30)
    assert (answer.status_code, answer.headers.get("Retry-After")) == (status, wait)
    assert answer.headers["Content-Type"] == "application/problem+json" and answer.json()["status"] == status
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.mark.parametrize("error", [ArenaError("it is full", "full"), ConfigError("limit: wrong"), KeyError("x")])
def test_a_mistake_is_one_logged_500(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    app = raising(error)
    install_error_handlers(app)
    with served_waitress(app) as url:
        assert requests.get(url, timeout=30).status_code == 500
    (logged,) = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert logged.exc_info is not None and logged.exc_info[1] is error


def test_handlers_of_one_s_own_stay() -> None:
    for kind, error in [
        (CircuitOpenError, CircuitOpenError("it", 1)),
        (TimeoutError, TimeoutExceededError("late")),
        (TimeoutExceededError, TimeoutExceededError("late")),
    ]:
        app = raising(error)
        app.register_error_handler(kind, lambda error: ("own", 418))
        install_error_handlers(app)
        assert app.test_client().get("/").status_code == 418
    app = raising(ConcurrencyLimitError("full", 1))
    app.register_error_handler(Exception, lambda error: ("own", 418))
    install_error_handlers(app, overload_status=529)
    assert app.test_client().get("/").status_code == 529, "one for whatever else there is is none for a refusal"
    with pytest.raises(TypeError, match="app: expected a Flask application, got int"):
        install_error_handlers(5)  # type: ignore[arg-type]


@pytest.mark.skipif(sys.version_info < (3, 11), reason="no exception groups")
def test_a_group_of_refusals_is_the_longest_of_them() -> None:
    refusals = [RateLimitedError(retry_after=2), CircuitOpenError("it", 9)]
    app = raising(ExceptionGroup("both", refusals))
    install_error_handlers(app)
    answer = app.test_client().get("/")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "9")
    app = raising(ExceptionGroup("both", [*refusals, KeyError()]))
    install_error_handlers(app)
    assert app.test_client().get("/").status_code == 500


def test_a_gate_s_refusal_names_its_part() -> None:
    gate = Gate("orders", limits={"everybody": TokenBucket("1/hour")})
    app = Flask(__name__)
    install_error_handlers(app)

    @app.get("/")
    def view() -> str:
        with gate.enter():
            return "fine"

    client = app.test_client()
    assert [client.get("/").status_code for _ in range(2)] == [200, 429]


APP = """
from flask import Flask, Response, send_file
from tidegate import CircuitBreaker, ConcurrencyLimiter
from tidegate.flask import install_error_handlers

app, places, circuit = Flask(__name__), ConcurrencyLimiter(1), CircuitBreaker("it")
install_error_handlers(app)


@app.get("/stream")
@circuit
@places
def stream():
    return Response(bytes(1 << 16) for _ in range({size} >> 16))


@app.get("/file")
@circuit
@places
def file():
    return send_file({file!r})


@app.get("/state")
def state():
    return {{"in_use": places.in_use, "calls": circuit.stats().calls}}
"""


@pytest.mark.parametrize("path", ["/stream", "/file"])
def test_under_gunicorn(path: str, file: Path, tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(APP.format(size=SIZE, file=str(file)))
    line = [sys.executable, "-m", "gunicorn", "-w", "1", "-k", "gthread", "--threads", "4", "-b", "127.0.0.1:0"]
    process = subprocess.Popen([*line, "shop:app"], cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        listening = next(line for line in process.stderr if "Listening at" in line)
        threading.Thread(target=process.stderr.read, daemon=True).start()
        url = listening.split()[-2]

        def state() -> tuple[int, int]:
            known = requests.get(url + "/state", timeout=30).json()
            return known["in_use"], known["calls"]

        with unread(url, path) as client:
            assert state() == (1, 0)
            assert requests.get(url + path, timeout=30).status_code == 503
            calls = state()[1]
            read(client)
        wait_until(lambda: state() == (0, calls + 1))
        with unread(url, path):
            assert state() == (1, calls + 1)
        wait_until(lambda: state() == (0, calls + 1))
    finally:
        process.terminate()
        process.wait(30)
        process.stderr.close()
