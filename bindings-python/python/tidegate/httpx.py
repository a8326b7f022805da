"""Circuit breakers, retries and client throttles for httpx, as a transport of the client.

    client = httpx.AsyncClient(transport=AsyncTransport(breaker=bank, retry=RetryPolicy(attempts=3)))

A client reads no ``verify``, ``cert``, ``http2``, ``limits`` or proxy of the environment once it has a transport: give
them to this one.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Literal

import anyio
import httpx

from . import errors
from ._client import Call, Calls, Chosen, Kind, Sending, ends_at_headers, origin
from ._retry import RetryPolicy
from ._tidegate import Classifier
from ._time import sleep, sleep_async

__all__ = ["AsyncTransport", "Transport"]


class CircuitOpenError(errors.CircuitOpenError, httpx.TransportError):
    """The circuit is open: nothing was sent, or ``attempts`` times something that failed."""

    attempts = 0
    _request = None


class ThrottledError(errors.ThrottledError, httpx.TransportError):
    """The throttle rejected the call: nothing was sent."""

    attempts = 0
    _request = None


class RetryBudgetExceededError(errors.RetryBudgetExceededError, httpx.TransportError):
    """The last attempt failed, and the budget of retries is empty."""

    _request = None


class TimeoutExceededError(errors.TimeoutExceededError, httpx.TimeoutException):
    """The deadline had passed: nothing was sent."""

    attempts = 0
    _begun = False
    _request = None


def _status_error(response: httpx.Response) -> Exception:
    return httpx.HTTPStatusError(f"HTTP {response.status_code}", request=response.request, response=response)


def _repeatable(request: httpx.Request) -> bool:
    # A request's own bytes; all else is read once.
    return isinstance(request.stream, httpx.ByteStream)


def _host(request: httpx.Request) -> str | None:
    return origin(request.url.scheme, request.url.host, request.url.port)


_KIND = Kind(
    CircuitOpenError, ThrottledError, RetryBudgetExceededError, TimeoutExceededError, _status_error, _repeatable, _host
)


class _Guarded:
    """Both transports.

    Args:
        transport: what sends; default: httpx's own, with the ``options``.
        breaker: a CircuitBreaker, or what gives the one of a key: a function, or an object with ``get(key)``, such as a
            BreakerRegistry or a dict (None: no breaker).
        key: a function of the request; default: its host, with the port where that is not the scheme's own.
        retry: which requests are sent again, and when; its ``retry_on``, if it has one, goes before the classifier.
            GET, HEAD, OPTIONS, PUT and DELETE are sent again by themselves, others with an Idempotency-Key, or with
            ``extensions={"idempotent": True}``; a body that is read once never is.
        budget: a RetryBudget, or one of a key as for ``breaker``, where the policy has none.
        throttle: a ClientThrottle, or one of a key.
        classifier: what responses and errors mean, for all of these; default: ``http()``.
        idempotent: whether all other requests may be sent again; or a function of the request.
        outcome_at: when the breaker hears of an answer that is well: at the end of its "body", or at the "headers"
            (for streams that have no end).
        deadline_header: what the server is told the time in that a ``Deadline`` around the call leaves, less 5 %, or
            None.
        options: of httpx's transport.

    A response stays a response when it is not sent again. CircuitOpenError, ThrottledError and RetryBudgetExceededError
    are httpx.TransportErrors as well, TimeoutExceededError (the deadline had passed) is an httpx.TimeoutException.
    """

    def __init__(
        self,
        transport: Any = None,
        *,
        breaker: Chosen = None,
        key: Callable[[httpx.Request], str | None] | None = None,
        retry: RetryPolicy | None = None,
        budget: Chosen = None,
        throttle: Chosen = None,
        classifier: Classifier | None = None,
        idempotent: bool | Callable[[httpx.Request], bool] = False,
        outcome_at: Literal["body", "headers"] = "body",
        deadline_header: str | None = "X-Request-Timeout-Ms",
        **options: Any,
    ) -> None:
        self._calls = Calls(
            _KIND, breaker=breaker, key=key, retry=retry, budget=budget, throttle=throttle, classifier=classifier,
            idempotent=idempotent, outcome_at=outcome_at, deadline_header=deadline_header,
        )  # fmt: skip
        if transport is not None and options:
            raise TypeError(f"{next(iter(options))}: the transport that is given has its own; give one of them")
        if transport is not None and (isinstance(transport, type) or not hasattr(transport, self._sends)):
            raise TypeError(f"transport: expected what has {self._sends}, got {type(transport).__name__}")
        self._inner: Any = self._plain(**options) if transport is None else transport
        self.closed = False

    _plain: Any
    _sends: str

    def _sending(self, request: httpx.Request) -> Sending:
        idempotent = request.extensions.get("idempotent") is True
        return self._calls.sending(request, request.method, request.headers, idempotent=idempotent)


class Transport(_Guarded, httpx.BaseTransport):
    __doc__ = _Guarded.__doc__

    _plain = httpx.HTTPTransport
    _sends = "handle_request"

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        sending = self._sending(request)
        while True:
            call = sending.begin()
            try:
                response: httpx.Response = self._inner.handle_request(request)
            except BaseException as error:
                wait = sending.raised(call, error, self.closed)
                if wait is None:
                    raise
            else:
                try:
                    wait = sending.answered(call, _of(response, request), _is_complete(response))
                except BaseException:
                    response.close()
                    raise
                if wait is None:
                    if call.pending:
                        response.stream = _Body(response.stream, call, self, request)
                    return response
                response.close()
            # Outside of the handler, and with no connection held.
            if wait > 0:
                sleep(wait, sending.clock)

    def close(self) -> None:
        self.closed = True
        self._inner.close()


class AsyncTransport(_Guarded, httpx.AsyncBaseTransport):
    __doc__ = _Guarded.__doc__

    _plain = httpx.AsyncHTTPTransport
    _sends = "handle_async_request"

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        sending = self._sending(request)
        while True:
            call = sending.begin()
            try:
                response: httpx.Response = await self._inner.handle_async_request(request)
            except BaseException as error:
                wait = sending.raised(call, error, self.closed)
                if wait is None:
                    raise
            else:
                try:
                    wait = sending.answered(call, _of(response, request), _is_complete(response))
                except BaseException:
                    await response.aclose()
                    raise
                if wait is None:
                    if call.pending:
                        response.stream = _AsyncBody(response.stream, call, self, request)
                    return response
                await response.aclose()
            if wait > 0 and sending.clock is None:
                await anyio.sleep(wait)
            elif wait > 0:
                await sleep_async(wait, sending.clock)

    async def aclose(self) -> None:
        self.closed = True
        await self._inner.aclose()


def _of(response: httpx.Response, request: httpx.Request) -> httpx.Response:
    # As the client does it later: a classifier may ask for it.
    response.request = request
    return response


def _is_complete(response: httpx.Response) -> bool:
    return ends_at_headers(response.request.method, response.status_code, response.headers)


def _broken(request: httpx.Request) -> httpx.DecodingError | None:
    """What is being raised of a body that could not be decompressed: above the transport, which is told by ``close``.

    It may be another request's, where this one is closed while that one's is handled.
    """
    error = sys.exc_info()[1]
    return error if isinstance(error, httpx.DecodingError) and error._request is request else None


def _closed(call: Call, transport: _Guarded, broken: httpx.DecodingError | None) -> None:
    if broken is None:
        call.abandoned()
    else:
        call.lost(broken, transport.closed)


class _Body(httpx.SyncByteStream):
    """A body whose end the breaker hears of."""

    def __init__(self, stream: Any, call: Call, transport: _Guarded, request: httpx.Request) -> None:
        self._stream, self._call, self._transport, self._request = stream, call, transport, request

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._stream
        except GeneratorExit:
            # Whoever reads has stopped: why, is known when the response is closed, which a broken body is after this.
            raise
        except BaseException as error:
            self._call.lost(error, self._transport.closed)
            raise
        self._call.ended()

    def close(self) -> None:
        broken = _broken(self._request)
        try:
            self._stream.close()
        finally:
            _closed(self._call, self._transport, broken)


class _AsyncBody(httpx.AsyncByteStream):
    def __init__(self, stream: Any, call: Call, transport: _Guarded, request: httpx.Request) -> None:
        self._stream, self._call, self._transport, self._request = stream, call, transport, request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._stream:
                yield chunk
        except GeneratorExit:
            # Whoever reads has stopped: why, is known when the response is closed, which a broken body is after this.
            raise
        except BaseException as error:
            self._call.lost(error, self._transport.closed)
            raise
        self._call.ended()

    async def aclose(self) -> None:
        broken = _broken(self._request)
        try:
            await self._stream.aclose()
        finally:
            _closed(self._call, self._transport, broken)
