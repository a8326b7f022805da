"""Django's views under a breaker and a concurrency limiter: what they hold until the server has closed the answer."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from conftest import wait_until
from test_sent import read, unread

# More than the buffers of two sockets and of the server hold.
SIZE = 8 << 20

APP = """
import asyncio, functools, gc, sys
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import FileResponse, Http404, HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import path
from django.utils.decorators import method_decorator
from django.views import View
from tidegate import CircuitBreaker, ConcurrencyLimiter, Resilience, TokenBucket, http

places, circuit = ConcurrencyLimiter(1), CircuitBreaker("it", consecutive_failures=1, classifier=http(), cooldown=1000)
once = TokenBucket("1/hour")
both = Resilience(breaker=circuit, concurrency=places)


def guarded(view):
    return circuit(places(view))


def parts():
    for _ in range({size} >> 16):
        yield bytes(1 << 16)


async def parts_async():
    for _ in range({size} >> 16):
        yield bytes(1 << 16)
        # As one that reads them somewhere: only there Django can end it.
        await asyncio.sleep(0)


@guarded
def stream(request):
    return StreamingHttpResponse(parts())


@guarded
async def stream_async(request):
    return StreamingHttpResponse(parts_async())


@guarded
def file(request):
    return FileResponse(open({file!r}, "rb"))


@both
def resilient(request):
    return StreamingHttpResponse(parts())


@both
async def resilient_async(request):
    return StreamingHttpResponse(parts_async())


@method_decorator(guarded, name="dispatch")
class Class(View):
    def get(self, request):
        return StreamingHttpResponse(parts())


@guarded
def status(request):
    return StreamingHttpResponse(iter([b"no", b"ne"]), status=int(request.GET["status"]))


@guarded
def plain(request):
    return HttpResponse("plain")


@guarded
def missing(request):
    raise Http404


@guarded
def failing(request):
    def body():
        yield b"a"
        raise ConnectionResetError("the store")

    return StreamingHttpResponse(body())


@guarded
async def failing_async(request):
    async def body():
        yield b"a"
        raise ConnectionResetError("the store")

    return StreamingHttpResponse(body())


def limited(request):
    once.acquire(timeout=0)
    return HttpResponse("in time")


async def grouped(request):
    try:
        once.acquire(timeout=0)
    except Exception as error:
        raise ExceptionGroup("of a task group", [error]) if sys.version_info >= (3, 11) else error
    return HttpResponse("in time")


def mistaken(request):
    CircuitBreaker("it", cooldown=-1)


def dropped(request):
    for view in (stream, file, resilient):
        held = view(request)
        assert places.in_use == 1, view
        if view is not file:
            # As soon as it is dropped: nobody collects here.
            gc.disable()
            del held
            gc.enable()
        else:
            held.close()
        assert places.in_use == 0, view
    return HttpResponse("fine")


def state(request):
    if "reset" in request.GET:
        circuit.reset()
    return JsonResponse({{"in_use": places.in_use, "calls": circuit.stats().calls, "state": circuit.state}})


views = {{name: view for name, view in list(globals().items()) if callable(view)}}
names = ["stream", "stream_async", "file", "resilient", "resilient_async", "status", "plain", "missing", "failing",
         "failing_async", "dropped", "limited", "grouped", "mistaken", "state"]
urlpatterns = [*(path(name, views[name]) for name in names), path("class", Class.as_view())]
settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="of a test", DEBUG=False,
                   MIDDLEWARE=["tidegate.django.RefusalMiddleware"])
wsgi, asgi = get_wsgi_application(), get_asgi_application()
"""

SERVERS = {
    "gunicorn": ["gunicorn", "-w", "1", "-k", "gthread", "--threads", "4", "-b", "127.0.0.1:0", "shop:wsgi"],
    "waitress": [
        *("waitress", "--listen", "127.0.0.1:0", "--threads", "4", "--outbuf-high-watermark", "65536", "shop:wsgi")
    ],
    "uvicorn": ["uvicorn", "--port", "0", "--lifespan", "off", "shop:asgi"],
}
# Where it says where it listens.
SAID = ("Listening at", "Serving on", "Uvicorn running on")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("django") / "file.bin"
    path.write_bytes(bytes(SIZE))
    return path


@pytest.fixture(scope="module", params=SERVERS)
def server(request: Any, file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    folder = tmp_path_factory.mktemp(request.param)
    (folder / "shop.py").write_text(APP.format(size=SIZE, file=str(file)))
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", *SERVERS[request.param]], cwd=folder, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    try:
        lines: list[str] = []
        for line in process.stderr:
            lines.append(line)
            if any(said in line for said in SAID):
                break
        assert process.poll() is None, "".join(lines)
        threading.Thread(target=process.stderr.read, daemon=True).start()
        (url,) = (word for word in lines[-1].split() if word.startswith("http://"))
        yield request.param, url
    finally:
        process.terminate()
        process.wait(30)
        process.stderr.close()


class Asked:
    """A served application, and what its guards hold."""

    def __init__(self, url: str) -> None:
        self.url = url
        requests.get(url + "/state?reset", timeout=30)
        self.before = self.state()["calls"]

    def get(self, path: str) -> requests.Response:
        return requests.get(self.url + path, timeout=30)

    def state(self) -> Any:
        return requests.get(self.url + "/state", timeout=30).json()

    @property
    def in_use(self) -> int:
        return int(self.state()["in_use"])

    @property
    def calls(self) -> int:
        return int(self.state()["calls"]) - self.before


# Where Django reads the whole body before it sends the first piece: there nobody sees that the client has gone.
READ_FIRST = [
    ("gunicorn", "/stream_async"),
    *(("uvicorn", path) for path in ("/stream", "/file", "/resilient", "/class")),
]
PATHS = {
    "gunicorn": ["/stream", "/stream_async", "/file", "/resilient", "/class"],
    "waitress": ["/stream", "/file"],
    "uvicorn": ["/stream", "/stream_async", "/file", "/resilient", "/resilient_async", "/class"],
}


@pytest.mark.parametrize(
    ("server", "path"), [(name, path) for name, paths in PATHS.items() for path in paths], indirect=["server"]
)
def test_what_is_held_until_the_answer_is_sent(path: str, server: tuple[str, str]) -> None:
    name, url = server
    asked = Asked(url)
    with unread(url, path) as client:
        assert (asked.in_use, asked.calls) == (1, 0)
        assert asked.get(path).status_code == 503, "the place is taken"
        calls = asked.calls
        read(client)
    wait_until(lambda: (asked.in_use, asked.calls) == (0, calls + 1))
    with unread(url, path):
        assert (asked.in_use, asked.calls) == (1, calls + 1)
    # Who hangs up in the middle says nothing, and holds nothing.
    calls += 2 if (name, path) in READ_FIRST else 1
    wait_until(lambda: (asked.in_use, asked.calls) == (0, calls))
    answer = asked.get(path)
    assert (answer.status_code, len(answer.content)) == (200, SIZE)
    assert answer.headers.get("Content-Length", str(SIZE)) == str(SIZE)
    wait_until(lambda: (asked.in_use, asked.calls) == (0, calls + 1))
    assert requests.head(url + path, timeout=30).status_code == 200
    wait_until(lambda: asked.in_use == 0)
    assert asked.state()["state"] == "closed"


@pytest.mark.parametrize("path", ["/failing", "/failing_async"])
def test_a_body_that_fails_is_a_failure(path: str, server: tuple[str, str]) -> None:
    asked = Asked(server[1])
    with contextlib.suppress(requests.RequestException):
        asked.get(path)
    wait_until(lambda: (asked.in_use, asked.state()["state"]) == (0, "open"))


def test_an_answer_is_judged_by_the_classifier(server: tuple[str, str]) -> None:
    asked = Asked(server[1])
    assert asked.get("/status?status=404").status_code == 404
    wait_until(lambda: asked.calls == 1)
    assert asked.state()["state"] == "closed"
    assert asked.get("/status?status=502").content == b"none"
    wait_until(lambda: asked.state()["state"] == "open")


def test_what_a_view_raises_or_has_at_once_is_over_when_it_returns(server: tuple[str, str]) -> None:
    asked = Asked(server[1])
    assert [asked.get(path).status_code for path in ("/plain", "/missing", "/missing")] == [200, 404, 404]
    assert (asked.in_use, asked.calls, asked.state()["state"]) == (0, 1, "closed")


def test_an_answer_that_nobody_sends_gives_its_permit_back(server: tuple[str, str]) -> None:
    assert Asked(server[1]).get("/dropped").text == "fine"


def test_a_refusal_that_leaves_a_view_is_answered(server: tuple[str, str]) -> None:
    asked = Asked(server[1])
    assert asked.get("/status?status=502").status_code == 502
    wait_until(lambda: asked.state()["state"] == "open")
    for path in ("/plain", "/stream", "/resilient", "/stream_async"):
        refused = asked.get(path)
        assert (refused.status_code, refused.headers["Content-Type"]) == (503, "application/problem+json")
        assert 900 < int(refused.headers["Retry-After"]) <= 1000
        assert refused.json()["status"] == 503
    asked.get("/limited")
    for path in ("/limited", "/grouped"):
        refused = asked.get(path)
        assert (refused.status_code, refused.json()["status"]) == (429, 429)
        assert 3000 < int(refused.headers["Retry-After"]) <= 3600
    # A mistake is none.
    assert asked.get("/mistaken").status_code == 500
