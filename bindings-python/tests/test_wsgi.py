"""A gate before WSGI applications: Flask and Django, under gunicorn and waitress, over real sockets."""

from __future__ import annotations

import gc
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from conftest import PATIENCE, wait_until
from served import Answer, ask, served_wsgi
from tidegate import AccessList, CircuitBreaker, ConcurrencyLimiter, ConfigError, Gate, RateLimiter, TokenBucket
from tidegate.keys import each_of, header, path
from tidegate.wsgi import TidegateMiddleware, admission

# What both applications have: parts that all processes of a server share.
GATE = """
import os
from tidegate import CircuitBreaker, ConcurrencyLimiter, Gate, RateLimiter
from tidegate.keys import header

database = ConcurrencyLimiter(1, name="database", scope=os.environ["TEST_SCOPE"])
client = RateLimiter("3/hour", name="client", scope=os.environ["TEST_SCOPE"])
gate = Gate("orders", limits={"client": client}, concurrency={"database": database},
            dependencies={"payment": CircuitBreaker("payment", consecutive_failures=1)}, refund_on=["failure"])
options = {"key": {"client": header("x-user")}, "dependencies": {"POST /orders": ["payment"]}}

def pieces():
    yield f"held {database.in_use}"
    yield "." * 100_000
    yield f"held {database.in_use}"

def endless():
    while True:
        yield "." * 10_000
"""

FLASK = GATE + """
from flask import Flask, Response, request
from tidegate.wsgi import TidegateMiddleware, admission

app = Flask("shop")
app.wsgi_app = TidegateMiddleware(app.wsgi_app, gate=gate, **options)

@app.post("/orders")
def pay():
    admitted = admission(request.environ)
    with admitted.breaker("payment") as permit:
        if request.args.get("fail"):
            permit.failure()
    return {"left": admitted.remaining}

@app.get("/orders")
def orders():
    return Response(pieces())

@app.get("/endless")
def forever():
    return Response(endless())

@app.get("/broken")
def broken():
    raise ValueError("broken")

@app.get("/healthz")
def healthz():
    return f"in use {database.in_use}, process {os.getpid()}"
"""

DJANGO = GATE + """
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import path
from tidegate.wsgi import TidegateMiddleware, admission

def orders(request):
    if request.method == "GET":
        return StreamingHttpResponse(pieces())
    admitted = admission(request.environ)
    with admitted.breaker("payment") as permit:
        if request.GET.get("fail"):
            permit.failure()
    return JsonResponse({"left": admitted.remaining})

def forever(request):
    return StreamingHttpResponse(endless())

def broken(request):
    raise ValueError("broken")

def healthz(request):
    return HttpResponse(f"in use {database.in_use}, process {os.getpid()}")

settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="of a test", DEBUG=False)
urlpatterns = [path("orders", orders), path("endless", forever), path("broken", broken), path("healthz", healthz)]
app = TidegateMiddleware(get_wsgi_application(), gate=gate, **options)
"""

SERVERS = {
    "gunicorn, threads": ["gunicorn", "-w", "1", "--threads", "4", "-b", "127.0.0.1:{port}", "app:app"],
    "gunicorn, processes": ["gunicorn", "-w", "2", "-b", "127.0.0.1:{port}", "app:app"],
    "waitress": ["waitress", "--listen", "127.0.0.1:{port}", "--threads", "4", "app:app"],
}


@contextmanager
def serving(server: str, source: str, scope: str, folder: Path) -> Iterator[str]:
    (folder / "app.py").write_text(source)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", *(part.format(port=port) for part in SERVERS[server])]
    known = os.environ.get("PYTHONPATH")
    environment = {**os.environ, "TEST_SCOPE": scope, "PYTHONPATH": os.pathsep.join(filter(None, (str(folder), known)))}
    log = folder / "server.log"
    with log.open("w") as out:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=out, stderr=out, start_new_session=True)
    url = f"http://127.0.0.1:{port}"

    def is_up() -> bool:
        try:
            return ask(url, "/healthz")[0].status == 200
        except OSError:
            return False

    try:
        wait_until(lambda: process.poll() is not None or is_up())
        assert process.poll() is None, log.read_text()
        yield url
    finally:
        # The group is the server's own.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(PATIENCE)


def in_use(url: str) -> bytes:
    return ask(url, "/healthz")[0].body.partition(b",")[0]


@pytest.mark.parametrize("source", [FLASK, DJANGO], ids=["Flask", "Django"])
@pytest.mark.parametrize("server", SERVERS)
def test_a_gate_before_real_applications(server: str, source: str, host: str, tmp_path: Path) -> None:
    def asked(method: str, path: str, user: str, held: int = 0, **fields: str) -> Answer:
        # A client has its answer before the server has closed the body.
        wait_until(lambda: in_use(url) == f"in use {held}".encode())
        return ask(url, path, method=method, headers={"x-user": user, **fields})[0]

    with serving(server, source, host, tmp_path) as url:
        answer = asked("POST", "/orders", "ann")
        assert answer.status == 200 and answer.json() == {"left": 2}
        assert answer.headers["ratelimit"].startswith('"client";r=2')
        # Held while the body is sent, and by nobody afterwards.
        answer = asked("GET", "/orders", "ben")
        assert answer.body.startswith(b"held 1") and answer.body.endswith(b"held 1")
        # A failure costs nothing.
        assert [asked("GET", "/broken", "cleo").status for _ in range(5)] == [500] * 5
        wait_until(lambda: in_use(url) == b"in use 0")
        # Someone who leaves a body that has no end.
        with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2]))) as client:
            client.sendall(b"GET /endless HTTP/1.1\r\nHost: shop\r\nX-User: dora\r\n\r\n")
            assert client.recv(1000).startswith(b"HTTP/1.1 200") and in_use(url) == b"in use 1"
            answer = asked("GET", "/orders", "ann", held=1)
            assert answer.status == 503 and answer.json()["violated-policies"] == ["database"]
            assert answer.headers["retry-after"] and answer.headers["content-type"] == "application/problem+json"
            assert answer.headers["ratelimit"].startswith('"client";r=2'), "nothing was taken"
        assert asked("GET", "/orders", "ann", **{"X-Request-Timeout-Ms": "0"}).status == 504
        # What stands open is one process's: ask until it is that one that answers.
        assert asked("POST", "/orders?fail=1", "ed").status == 200
        wait_until(lambda: asked("POST", "/orders", "ed").status in (503, 429))
        assert [asked("GET", "/orders", "ann").status for _ in range(3)] == [200, 200, 429]


def plain(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"ok"]


class Call:
    """One request, and what the server is told."""

    def __init__(self, app: Any, method: str = "GET", path: str = "/", **environ: Any) -> None:
        self.status, self.headers, self.body = "", {}, b""
        self.environ = {
            "REQUEST_METHOD": method, "PATH_INFO": path, "SCRIPT_NAME": "", "REMOTE_ADDR": "198.51.100.1",
            "SERVER_NAME": "shop", "SERVER_PORT": "80", "wsgi.url_scheme": "http", **environ,
        }  # fmt: skip

        def start(status: str, headers: Any, error: Any = None) -> Any:
            self.status, self.headers = status, dict(headers)
            assert all(type(text) is str for line in headers for text in line)
            return None

        self.answer = app(self.environ, start)

    def read(self) -> bytes:
        try:
            return b"".join(self.answer)
        finally:
            self.close()

    def close(self) -> None:
        if hasattr(self.answer, "close"):
            self.answer.close()


class Parts:
    def __init__(self, **options: Any) -> None:
        self.client, self.database = RateLimiter("3/hour"), ConcurrencyLimiter(1)
        self.gate = Gate("orders", limits={"client": self.client}, concurrency={"database": self.database}, **options)

    @property
    def left(self) -> int:
        return self.client.peek("198.51.100.1").remaining


class Broken:
    def __init__(self, closes: list[int]) -> None:
        self.closes = closes

    def __iter__(self) -> Iterator[bytes]:
        yield b"one"
        raise ValueError("broken")

    def close(self) -> None:
        self.closes.append(1)


def test_a_body_that_breaks_is_a_failure_and_closed_once() -> None:
    parts, closes = Parts(refund_on=["failure"]), []  # type: ignore[var-annotated]

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        return Broken(closes)

    call = Call(TidegateMiddleware(app, gate=parts.gate))
    assert parts.database.in_use == 1
    with pytest.raises(ValueError, match="broken"):
        call.read()
    assert (parts.database.in_use, parts.left, closes) == (0, 3, [1])
    assert parts.gate.stats().admitted == 1


@pytest.mark.parametrize(("outcome", "left"), [("success", 2), ("cancelled", 3)])
def test_a_body_that_is_left_is_cancelled(outcome: Any, left: int) -> None:
    parts = Parts(refund_on=[outcome])

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        yield b"one"
        yield b"two"

    call = Call(TidegateMiddleware(app, gate=parts.gate))
    assert next(iter(call.answer)) == b"one" and parts.database.in_use == 1
    call.close()
    call.close()
    assert (parts.database.in_use, parts.left) == (0, left)


@pytest.mark.parametrize(
    ("status", "outcome"), [(200, "success"), (404, "success"), (429, "failure"), (500, "failure"), (503, "dropped")]
)
def test_what_became_of_a_request(status: int, outcome: Any) -> None:
    parts = Parts(refund_on=[outcome])

    def app(environ: Any, start_response: Any) -> Any:
        start_response(f"{status} Something", [])
        return [b"ok"]

    for outcome_at in ("body", "headers"):
        call = Call(TidegateMiddleware(app, gate=parts.gate, outcome_at=outcome_at))  # type: ignore[arg-type]
        assert parts.database.in_use == (1 if outcome_at == "body" else 0)
        assert call.read() == b"ok" and (parts.database.in_use, parts.left) == (0, 3)


def test_at_the_headers_of_an_application_that_starts_late() -> None:
    parts = Parts()

    def app(environ: Any, start_response: Any) -> Any:
        assert parts.database.in_use == 1
        start_response("200 OK", [])
        yield b"one"
        assert parts.database.in_use == 0
        yield b"two"

    assert Call(TidegateMiddleware(app, gate=parts.gate, outcome_at="headers")).read() == b"onetwo"


def test_an_application_that_raises_gives_all_back() -> None:
    parts = Parts(refund_on=["failure"])

    def app(environ: Any, start_response: Any) -> Any:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        Call(TidegateMiddleware(app, gate=parts.gate))
    assert (parts.database.in_use, parts.left) == (0, 3)


def test_a_body_nobody_closes_comes_back_when_it_is_dropped() -> None:
    parts = Parts()
    call = Call(TidegateMiddleware(plain, gate=parts.gate))
    # As any list, so that servers can say how long it is.
    assert len(call.answer) == 1 and parts.database.in_use == 1
    with pytest.warns(ResourceWarning, match="its permit is given back"):
        del call
        gc.collect()
    assert parts.database.in_use == 0


def test_a_head_request_is_done_without_its_body() -> None:
    parts = Parts(refund_on=["cancelled"])
    call = Call(TidegateMiddleware(plain, gate=parts.gate), "HEAD")
    call.close()
    assert (parts.database.in_use, parts.left) == (0, 2)
    with parts.database.acquire():
        call = Call(TidegateMiddleware(plain, gate=parts.gate), "HEAD")
    assert call.status == "503 Service Unavailable" and call.read() == b"" and int(call.headers["Content-Length"]) > 100


def test_who_passes_unasked() -> None:
    parts = Parts()
    options: dict[str, Any] = {"exempt": ["/static/*"], "skip": lambda scope: scope["path"] == "/shop/s"}
    guarded = TidegateMiddleware(plain, gate=parts.gate, **options)
    with parts.database.acquire():
        for passes in (
            Call(guarded, "OPTIONS"),
            Call(guarded, path="/static/a", SCRIPT_NAME="/shop"),
            Call(guarded, path="/s", SCRIPT_NAME="/shop"),
            Call(TidegateMiddleware(plain, gate=parts.gate), path="/healthz"),
        ):
            assert passes.read() == b"ok"
        assert Call(guarded, path="/healthz").status == "503 Service Unavailable"
        # Another path to some routers.
        for field in ("RAW_URI", "REQUEST_URI"):
            disguised = Call(TidegateMiddleware(plain, gate=parts.gate), path="/healthz", **{field: "/%68ealthz?a=%20"})
            assert disguised.status == "503 Service Unavailable"


def test_a_slash_at_the_end_is_no_way_round_a_route() -> None:
    """Flask may serve a view with and without it."""
    from flask import Flask

    limits = {"all": RateLimiter("1000/day")}
    gate = Gate("orders", limits=limits, dependencies={"payment": CircuitBreaker("payment")})
    costs = {"POST /in": 5, "POST /out/": 7, "POST /users/{id}": 11, "* /api/*": 13, "POST /": 17}
    app = Flask("shop")
    app.url_map.strict_slashes = False
    for rule in ("/", "/in", "/out/", "/users/<id>", "/users/<id>/a", "/api/a", "/inn"):
        app.post(rule, endpoint=rule)(lambda id="": "ok")
    app.wsgi_app = TidegateMiddleware(  # type: ignore[method-assign]
        app.wsgi_app, gate=gate, cost=costs, dependencies={"POST /in": ["payment"]}
    )
    known = {"/in": 5, "/out": 7, "/users/5": 11, "/users/5/a": 1, "/api/a": 13, "/inn": 1}
    with served_wsgi(app) as url:
        for path, cost in [("/", 17), *known.items(), *((f"{path}/", cost) for path, cost in known.items())]:
            before = limits["all"].peek("127.0.0.1").remaining
            assert ask(url, path, method="POST")[0].status == 200
            assert before - limits["all"].peek("127.0.0.1").remaining == cost, path
        gate.dependencies["payment"].force_open()
        assert [ask(url, path, method="POST")[0].status for path in ("/in", "/in/", "/inn/")] == [503, 503, 200]


def test_key_functions_of_asgi_serve_here() -> None:
    parts = Parts()
    key = each_of(header("content-type"), header("x-user"), path, lambda scope: scope["environ"]["wsgi.url_scheme"])
    guarded = TidegateMiddleware(plain, gate=parts.gate, key=key)
    Call(guarded, path="/\u00c3\u00bc", HTTP_X_USER="ann", CONTENT_TYPE="text/plain").read()
    assert parts.client.peek("10:text/plain3:ann3:/ü4:http").remaining == 2


@pytest.mark.parametrize("name", ["key", "cost", "priority", "dependencies", "deadline", "skip"])
def test_a_function_that_waits_raises_or_gives_rubbish_takes_nothing(name: str) -> None:
    parts = Parts()

    async def waits(scope: Any) -> Any:
        import asyncio

        await asyncio.sleep(0)

    def raises(scope: Any) -> Any:
        raise RuntimeError("broken")

    for said, error, text in (
        (waits, TypeError, "WSGI has no event loop to wait on"),
        (raises, RuntimeError, "broken"),
        (lambda scope: object(), (TypeError, ConfigError), name),
    ):
        with pytest.raises(error, match=text):
            Call(TidegateMiddleware(plain, gate=parts.gate, **{name: said}))  # type: ignore[arg-type]
    assert (parts.database.in_use, parts.left) == (0, 3) and parts.gate.stats().admitted == 0


def test_on_refused_says_something_else() -> None:
    gate = Gate("orders", limits={"all": TokenBucket("1/hour")})
    Call(TidegateMiddleware(plain, gate=gate)).read()

    def page(environ: Any, start_response: Any) -> Any:
        start_response("429 Slow Down", [("Retry-After", "9")])
        return [b"later"]

    for said, body, wait in (("come later", b"come later", 3600), (page, b"later", 9), (None, None, 3600)):
        call = Call(TidegateMiddleware(plain, gate=gate, on_refused=lambda scope, refusal, said=said: said))
        assert call.status.startswith("429") and int(call.headers["Retry-After"]) <= wait
        assert call.headers["Ratelimit"].startswith('"all";r=0')
        assert body is None or call.read() == body
    with pytest.raises(TypeError, match="on_refused: expected .* a WSGI application or None, got object"):
        Call(TidegateMiddleware(plain, gate=gate, on_refused=lambda scope, refusal: object()))


def test_a_page_stands_in_for_an_overload(caplog: pytest.LogCaptureFixture) -> None:
    database, client = ConcurrencyLimiter(1), RateLimiter("2/hour")
    gate = Gate("orders", limits={"client": client}, concurrency={"database": database})
    kept: list[Any] = []

    def degraded(given: Any, method: str = "GET") -> Call:
        return Call(TidegateMiddleware(plain, gate=gate, degrade=given), method, "/page")

    def page(environ: Any, start_response: Any) -> Any:
        start_response("203 Cached", [("Age", "30")])
        return [b"<p>cached"]

    with database.acquire():
        for given, status, kind, body in (
            (lambda scope: "cached " + scope["path"], "200 OK", "text/plain; charset=utf-8", b"cached /page"),
            (lambda scope: {"items": kept}, "200 OK", "application/json", b'{"items":[]}'),
            (lambda scope: page, "203 Cached", None, b"<p>cached"),
        ):
            call = degraded(given)
            assert (call.status, call.headers.get("Content-Type"), call.read()) == (status, kind, body)
            assert "Retry-After" not in call.headers and call.headers["Ratelimit"].startswith('"client";r=2')
        assert degraded(lambda scope: "cached", "HEAD").read() == b""
        assert not caplog.text
        failing = [(lambda scope: 1 / 0, True), (lambda scope: object(), True)]
        for given, is_said in [(lambda scope: None, False), *failing]:
            call = degraded(given)
            assert call.status == "503 Service Unavailable" and int(call.headers["Retry-After"]) >= 1
            assert ("degrade: " in caplog.text) == is_said
    # A client's own doing is no overload.
    assert [degraded(lambda scope: "cached").read() for _ in range(2)] == [b"ok", b"ok"]
    assert degraded(lambda scope: "cached").status.startswith("429")
    with pytest.raises(TypeError, match="degrade: expected a function"):
        degraded(5)


def test_a_gate_is_asked_once_and_its_admission_found() -> None:
    parts = Parts(access=AccessList(deny=["192.0.2.0/24"]), dependencies={"payment": CircuitBreaker("payment")})
    found: list[Any] = []

    def app(environ: Any, start_response: Any) -> Any:
        found.append(admission(environ))
        assert admission(environ, "orders") is admission(environ, parts.gate) is found[0]
        with pytest.raises(LookupError, match="no gate 'search' was asked"):
            admission(environ, "search")
        with found[0].breaker("payment"):
            return plain(environ, start_response)

    twice = TidegateMiddleware(TidegateMiddleware(app, gate=parts.gate), gate=parts.gate)
    assert Call(twice).read() == b"ok" and parts.left == 2
    denied = Call(twice, REMOTE_ADDR="192.0.2.7")
    assert denied.status == "403 Forbidden" and "Retry-After" not in denied.headers
    with pytest.raises(LookupError, match="no gate was asked"):
        admission({})


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"gate": "orders"}, TypeError, "gate: expected a Gate, got str"),
        ({"keys": {}}, TypeError, r"TidegateMiddleware\(\) has no option 'keys'"),
        ({"exempt": "/healthz"}, TypeError, "exempt: expected several texts"),
        ({"outcome_at": "end"}, ConfigError, "outcome_at: expected"),
        ({"app": 7}, TypeError, "app: expected a WSGI application"),
    ],
)
def test_mistakes_are_errors_when_it_is_made(options: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=f"^{text}"):
        TidegateMiddleware(**{"app": plain, "gate": Parts().gate, **options})


def test_a_threaded_server_gives_all_back(host: str) -> None:
    parts = Parts()
    parts.gate = Gate("orders", concurrency={"database": ConcurrencyLimiter(2)})

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Content-Length", "2")])
        return [b"ok"]

    with served_wsgi(TidegateMiddleware(app, gate=parts.gate)) as url:
        answers = ask(url, *["/"] * 20)
    assert {answer.status for answer in answers} <= {200, 503}
    assert isinstance(parts.gate.concurrency, ConcurrencyLimiter) and parts.gate.concurrency.in_use == 0
