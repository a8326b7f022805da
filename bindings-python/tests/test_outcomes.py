"""What an error says of a call to a gate: the same as to a breaker, wherever it leaves the call."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import aiohttp.web
import django.core.exceptions
import django.http
import httpx
import pytest
import werkzeug.exceptions
from conftest import run
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException, WebSocketException
from starlette.requests import ClientDisconnect

from tidegate import CircuitBreaker, CircuitOpenError, Gate, TokenBucket
from tidegate.asgi import TidegateMiddleware
from tidegate.wsgi import TidegateMiddleware as WSGIMiddleware


def answered(status: int) -> httpx.HTTPStatusError:
    """A dependency's answer, which is nobody's answer here."""
    request = httpx.Request("GET", "http://192.0.2.1/")
    return httpx.HTTPStatusError("", request=request, response=httpx.Response(status, request=request))


ERRORS: list[tuple[BaseException, str]] = [
    (HTTPException(404), "success"),
    (werkzeug.exceptions.NotFound(), "success"),
    (aiohttp.web.HTTPNotFound(), "success"),
    (HTTPException(429), "failure"),
    (HTTPException(500), "failure"),
    (HTTPException(503), "dropped"),
    (werkzeug.exceptions.GatewayTimeout(), "dropped"),
    (RequestValidationError([]), "cancelled"),
    (ClientDisconnect(), "cancelled"),
    (WebSocketException(1008), "cancelled"),
    (WebSocketException(1011), "failure"),
    (django.http.Http404(), "success"),
    (django.core.exceptions.PermissionDenied(), "success"),
    (django.core.exceptions.RequestDataTooBig(), "success"),
    (django.http.UnreadablePostError(), "cancelled"),
    (django.core.exceptions.ImproperlyConfigured(), "failure"),
    (answered(404), "failure"),
    (answered(503), "dropped"),
    (ValueError("broken"), "failure"),
    (ConnectionResetError("the store"), "failure"),
    (TimeoutError(), "dropped"),
    (CircuitOpenError("it", 1), "dropped"),
    (KeyboardInterrupt(), "cancelled"),
]
if sys.version_info >= (3, 11):
    ERRORS += [
        (ExceptionGroup("", [HTTPException(404), HTTPException(400)]), "success"),
        (ExceptionGroup("", [HTTPException(404), ClientDisconnect()]), "cancelled"),
        (ExceptionGroup("", [HTTPException(404), ValueError("broken")]), "failure"),
        (ExceptionGroup("", [ExceptionGroup("", [TimeoutError()]), ValueError("broken")]), "dropped"),
    ]


def by_call(gate: Gate, raises: Callable[[], Any]) -> None:
    gate.call(lambda admission: raises())


def by_with(gate: Gate, raises: Callable[[], Any]) -> None:
    with gate.enter():
        raises()


def by_call_async(gate: Gate, raises: Callable[[], Any]) -> None:
    async def later() -> None:
        raises()

    run(gate.call_async(lambda admission: later()))


def by_asgi(gate: Gate, raises: Callable[[], Any]) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raises()

    scope = {"type": "http", "path": "/", "method": "GET", "headers": [], "client": None}
    run(TidegateMiddleware(app, gate=gate)(scope, None, None))  # type: ignore[arg-type]


def by_wsgi(gate: Gate, raises: Callable[[], Any]) -> None:
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/"}
    WSGIMiddleware(lambda environ, start: raises(), gate=gate)(environ, lambda *told: print)  # type: ignore[arg-type]


WAYS = [by_call, by_with, by_call_async, by_asgi, by_wsgi]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("error", "expected"), ERRORS, ids=lambda value: repr(value)[:50])
def test_what_an_error_says_of_a_call(error: BaseException, expected: str, way: Any) -> None:
    def raises() -> None:
        raise error

    for outcome in ("success", "failure", "dropped", "cancelled"):
        everybody = TokenBucket("5/hour")
        gate = Gate("orders", limits={"all": everybody}, refund_on=[outcome])  # type: ignore[list-item]
        with pytest.raises(type(error)):
            way(gate, raises)
        assert everybody.peek().remaining == (5 if outcome == expected else 4), outcome


@pytest.mark.parametrize(("error", "expected"), ERRORS, ids=lambda value: repr(value)[:50])
def test_what_says_nothing_to_a_breaker_is_no_failure_to_a_gate(error: BaseException, expected: str) -> None:
    circuit = CircuitBreaker("it", consecutive_failures=1)
    permit = circuit.acquire()
    permit.__exit__(type(error), error, None)
    if circuit.state == "closed":
        assert expected != "failure" or error.args == (429,) or getattr(error, "status_code", 0) == 429
