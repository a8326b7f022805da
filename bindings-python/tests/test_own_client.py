"""A program's own client that hangs up or garbles its request: no word on what the program depends on."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
import requests
from aiohttp import web
from conftest import wait_until
from test_aiohttp_server import served_aiohttp

from tidegate import CircuitBreaker, Gate, RetryPolicy, TokenBucket

HEAD = b"POST / HTTP/1.1\r\nHost: x\r\n"
LENGTH = HEAD + b"Content-Length: 1000000\r\n\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
# What a client sends at first, and when it is being read, before it resets the connection or sends no more.
UPLOADS = {
    "resets": (LENGTH + bytes(1000), b"", True),
    "leaves": (LENGTH + bytes(1000), b"", False),
    "resets in a chunk": (CHUNKED + b"ffff\r\nabc", b"", True),
    "leaves in a chunk": (CHUNKED + b"ffff\r\nabc", b"", False),
    "garbles": (CHUNKED + b"5\r\nhello\r\n", b"no number\r\n", False),
}


def upload(url: str, first: bytes, rest: bytes, resets: bool, begun: Callable[[], bool]) -> None:
    with socket.create_connection(("127.0.0.1", urlsplit(url).port or 0), 30) as client:
        client.sendall(first)
        wait_until(begun)
        client.sendall(rest)
        if resets:
            # A close with this set is a reset.
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        else:
            client.shutdown(socket.SHUT_WR)
            client.settimeout(30)
            with contextlib.suppress(ConnectionError):
                while client.recv(1 << 16):
                    pass


async def whole(request: web.Request) -> bytes:
    return await request.read()


async def parts(request: web.Request) -> bytes:
    async for _ in request.content.iter_any():
        pass
    return b""


async def answers(request: web.Request) -> bytes:
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(bytes(1 << 16))


@pytest.mark.parametrize("how", UPLOADS)
@pytest.mark.parametrize("read", [whole, parts])
def test_an_upload_to_aiohttp_that_breaks_off(read: Any, how: str) -> None:
    circuit, raised = CircuitBreaker("uploads", consecutive_failures=1), list[BaseException]()
    begun = threading.Event()

    async def handler(request: web.Request) -> Any:
        begun.set()
        try:
            return web.Response(body=await read(request))
        except BaseException as error:
            raised.append(error)
            raise

    with served_aiohttp(circuit(handler)) as url:
        upload(url, *UPLOADS[how], begun.is_set)
        wait_until(lambda: bool(raised))
    assert (circuit.state, circuit.stats().calls) == ("closed", 0), raised


def test_a_client_that_leaves_what_a_handler_of_aiohttp_sends() -> None:
    circuit, raised = CircuitBreaker("sends", consecutive_failures=1), list[BaseException]()

    async def handler(request: web.Request) -> Any:
        try:
            await answers(request)
        except BaseException as error:
            raised.append(error)
            raise

    with served_aiohttp(circuit(handler)) as url:
        upload(url, HEAD + b"\r\n", b"", True, lambda: True)
        wait_until(lambda: bool(raised))
    assert isinstance(raised[0], ConnectionError)
    assert (circuit.state, circuit.stats().calls) == ("closed", 0), raised


def test_a_connection_to_a_dependency_that_breaks_is_a_failure() -> None:
    """In a handler of aiohttp, whose client raises the same."""

    async def cut(request: web.Request) -> Any:
        response = web.StreamResponse(headers={"Content-Length": "100"})
        await response.prepare(request)
        await response.write(b"a")
        assert request.transport is not None
        request.transport.abort()
        return response

    async def refuses(request: web.Request) -> Any:
        async with aiohttp.ClientSession() as session, session.get("http://127.0.0.1:1/") as answer:
            return web.Response(body=await answer.read())

    def through(url: str) -> Any:
        async def handler(request: web.Request) -> Any:
            async with aiohttp.ClientSession() as session, session.get(url) as answer:
                return web.Response(body=await answer.read())

        return handler

    held = list[asyncio.StreamWriter]()

    async def passed_on(request: web.Request) -> Any:
        ours, theirs = socket.socketpair()
        reader, writer = await asyncio.open_connection(sock=ours)
        writer.write(b"unread, so that a close is a reset")
        with theirs:
            theirs.send(b"a")
        held.append(writer)
        return web.Response(body=reader)

    with served_aiohttp(cut) as below:
        for handler in (refuses, through(below), passed_on):
            circuit = CircuitBreaker("below", consecutive_failures=1)
            with served_aiohttp(circuit(handler)) as url:
                with contextlib.suppress(requests.RequestException):
                    requests.get(url, timeout=30)
                wait_until(lambda: circuit.state == "open")  # noqa: B023
                for writer in held:
                    writer.close()


APP = """
from flask import Flask, request
from tidegate import CircuitBreaker

app, circuit, seen = Flask(__name__), CircuitBreaker("uploads", consecutive_failures=1), []


@app.post("/")
@circuit
def view():
    seen.append("begun")
    try:
        return str(len(request.get_data()))
    finally:
        seen.append("ended")


@app.get("/state")
def state():
    return {"state": circuit.state, "failed": circuit.stats().failed, "seen": seen}
"""

DJANGO = """
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse, JsonResponse
from django.urls import path
from tidegate import CircuitBreaker

circuit, seen = CircuitBreaker("uploads", consecutive_failures=1), []


@circuit
def view(request):
    seen.append("begun")
    try:
        return HttpResponse(str(len(request.body)))
    finally:
        seen.append("ended")


def state(request):
    return JsonResponse({"state": circuit.state, "failed": circuit.stats().failed, "seen": seen})


settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="of a test", DEBUG=False)
urlpatterns = [path("", view), path("state", state)]
app = get_wsgi_application()
"""


@contextlib.contextmanager
def served_gunicorn(source: str, folder: Path) -> Iterator[str]:
    (folder / "uploads.py").write_text(source)
    line = [sys.executable, "-m", "gunicorn", "-w", "1", "-k", "gthread", "--threads", "4", "-b", "127.0.0.1:0"]
    process = subprocess.Popen([*line, "uploads:app"], cwd=folder, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        listening = next(line for line in process.stderr if "Listening at" in line)
        threading.Thread(target=process.stderr.read, daemon=True).start()
        yield listening.split()[-2]
    finally:
        process.terminate()
        process.wait(30)
        process.stderr.close()


@pytest.mark.parametrize("source", [APP, DJANGO], ids=["Flask", "Django"])
def test_uploads_under_gunicorn_that_break_off(source: str, tmp_path: Path) -> None:
    with served_gunicorn(source, tmp_path) as url:

        def state() -> Any:
            return requests.get(url + "/state", timeout=30).json()

        for one in UPLOADS.values():
            before = len(state()["seen"])
            upload(url, *one, lambda: len(state()["seen"]) > before)  # noqa: B023
        wait_until(lambda: state()["seen"].count("ended") == len(UPLOADS))
        assert (state()["state"], state()["failed"]) == ("closed", 0), state()
        assert requests.post(url, data=b"abc", timeout=30).text == "3"


def test_what_a_client_has_broken_is_not_retried_and_cancels_a_call_of_a_gate() -> None:
    calls, everybody = list[int](), TokenBucket("9/hour")
    gate = Gate("uploads", limits={"all": everybody}, refund_on=["cancelled"])
    told = threading.Event()

    async def handler(request: web.Request) -> Any:
        async def read() -> bytes:
            calls.append(1)
            return await request.read()

        try:
            await gate.call_async(lambda admission: RetryPolicy(3, base=0).call_async(read))
        finally:
            told.set()

    with served_aiohttp(handler) as url:
        upload(url, *UPLOADS["resets"], lambda: bool(calls))
        wait_until(told.is_set)
    assert (len(calls), everybody.peek().remaining) == (1, 9)
