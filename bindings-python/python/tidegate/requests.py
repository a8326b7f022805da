"""Circuit breakers, retries and client throttles for requests, as an adapter of the session.

    session.mount("https://bank.example", Adapter(breaker=bank, retry=RetryPolicy(attempts=3)))
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from http.client import HTTPException
from typing import Any, Literal, cast
from urllib.parse import urlsplit

import requests
from requests.adapters import BaseAdapter, HTTPAdapter
from requests.utils import rewind_body
from urllib3.exceptions import HTTPError

from . import errors
from ._client import Call, Calls, Chosen, Kind, ends_at_headers, origin
from ._retry import RetryPolicy
from ._tidegate import Classifier
from ._time import sleep

__all__ = ["Adapter"]


class CircuitOpenError(errors.CircuitOpenError, requests.ConnectionError):
    """The circuit is open: nothing was sent, or ``attempts`` times something that failed."""

    attempts = 0
    request = response = None


class ThrottledError(errors.ThrottledError, requests.ConnectionError):
    """The throttle rejected the call: nothing was sent."""

    attempts = 0
    request = response = None


class RetryBudgetExceededError(errors.RetryBudgetExceededError, requests.ConnectionError):
    """The last attempt failed, and the budget of retries is empty."""

    request = response = None


class TimeoutExceededError(errors.TimeoutExceededError, requests.Timeout):
    """The deadline had passed: nothing was sent."""

    attempts = 0
    _begun = False
    request = response = None


def _status_error(response: requests.Response) -> Exception:
    return requests.HTTPError(f"HTTP {response.status_code}", response=response)


def _repeatable(request: requests.PreparedRequest) -> bool:
    # requests notes where a file was; what cannot tell, or is iterated, has no number there.
    return request.body is None or isinstance(request.body, (bytes, str)) or isinstance(_position(request), int)


def _position(request: requests.PreparedRequest) -> object:
    return getattr(request, "_body_position", None)


def _host(request: requests.PreparedRequest) -> str | None:
    parts = urlsplit(str(request.url))
    return origin(parts.scheme, parts.hostname, parts.port)


_KIND = Kind(
    CircuitOpenError, ThrottledError, RetryBudgetExceededError, TimeoutExceededError, _status_error, _repeatable, _host
)


class Adapter(BaseAdapter):
    """An adapter under breaker, retries and throttle.

    Args:
        adapter: what sends; default: an HTTPAdapter with the ``options`` (``pool_maxsize``, …).
        breaker: a CircuitBreaker, or what gives the one of a key: a function, or an object with ``get(key)``, such as a
            BreakerRegistry or a dict (None: no breaker).
        key: a function of the prepared request; default: its host, with the port where that is not the scheme's own.
        retry: which requests are sent again, and when; its ``retry_on``, if it has one, goes before the classifier.
            GET, HEAD, OPTIONS, PUT and DELETE are sent again by themselves, others with an Idempotency-Key; a body that
            is read once never is.
        budget: a RetryBudget, or one of a key as for ``breaker``, where the policy has none.
        throttle: a ClientThrottle, or one of a key.
        classifier: what responses and errors mean, for all of these; default: ``http()``.
        idempotent: whether all other requests may be sent again; or a function of the prepared request.
        outcome_at: when the breaker hears of an answer that is well: at the end of its "body", or at the "headers"
            (for streams that have no end).
        deadline_header: what the server is told the time in that a ``Deadline`` around the call leaves, less 5 %, or
            None.
        options: of the HTTPAdapter. Its ``max_retries`` would multiply with ours.

    A response stays a response when it is not sent again. CircuitOpenError, ThrottledError and RetryBudgetExceededError
    are requests.ConnectionErrors as well, TimeoutExceededError (the deadline had passed) is a requests.Timeout.
    """

    def __init__(
        self,
        adapter: BaseAdapter | None = None,
        *,
        breaker: Chosen = None,
        key: Callable[[requests.PreparedRequest], str | None] | None = None,
        retry: RetryPolicy | None = None,
        budget: Chosen = None,
        throttle: Chosen = None,
        classifier: Classifier | None = None,
        idempotent: bool | Callable[[requests.PreparedRequest], bool] = False,
        outcome_at: Literal["body", "headers"] = "body",
        deadline_header: str | None = "X-Request-Timeout-Ms",
        **options: Any,
    ) -> None:
        super().__init__()
        self._calls = Calls(
            _KIND, breaker=breaker, key=key, retry=retry, budget=budget, throttle=throttle, classifier=classifier,
            idempotent=idempotent, outcome_at=outcome_at, deadline_header=deadline_header,
        )  # fmt: skip
        if adapter is not None and options:
            raise TypeError(f"{next(iter(options))}: the adapter that is given has its own; give one of them")
        if retry is not None and options.get("max_retries"):
            raise errors.ConfigError("max_retries: it would multiply with retry; give one of them")
        if adapter is not None and (isinstance(adapter, type) or not hasattr(adapter, "send")):
            raise TypeError(f"adapter: expected an adapter of requests, got {type(adapter).__name__}")
        self._inner = HTTPAdapter(**options) if adapter is None else adapter

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: bool | str = True,
        cert: Any = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        sending = self._calls.sending(request, str(request.method), request.headers)
        told: Any = {"stream": stream, "timeout": timeout, "verify": verify, "cert": cert, "proxies": proxies}
        while True:
            call = sending.begin()
            try:
                response = self._inner.send(request, **told)
            except BaseException as error:
                wait = sending.raised(call, error)
                if wait is None:
                    raise
            else:
                complete = ends_at_headers(str(request.method), response.status_code, response.headers)
                try:
                    wait = sending.answered(call, response, complete)
                except BaseException:
                    response.close()
                    raise
                if wait is None:
                    return self._given(response, call, stream)
                response.close()
            # Outside of the handler, and with no connection held.
            if wait > 0:
                sleep(wait, sending.clock)
            if isinstance(_position(request), int):
                rewind_body(request)

    def _given(self, response: requests.Response, call: Call, stream: bool) -> requests.Response:
        # By which digest authentication sends the second request; typed as an HTTPAdapter.
        response.connection = cast(Any, self)
        if call.pending and stream:
            response.raw = _Body(response.raw, call)
        elif call.pending:
            # The session would read it a moment later.
            try:
                _ = response.content
            except BaseException as error:
                call.lost(error)
                raise
            call.ended()
        return response

    def close(self) -> None:
        self._inner.close()


class _Body:
    """urllib3's response, whose end the breaker hears of."""

    __slots__ = ("_call", "_raw")

    def __init__(self, raw: Any, call: Call) -> None:
        object.__setattr__(self, "_raw", raw)
        object.__setattr__(self, "_call", call)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)

    def __setattr__(self, name: str, value: Any) -> None:
        # Such as ``decode_content``: what reads has to know it.
        setattr(self._raw, name, value)

    def __enter__(self) -> _Body:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[bytes]:
        return self._watched(iter(self._raw))

    def __next__(self) -> bytes:
        try:
            line: bytes = next(self._raw)
        except StopIteration:
            self._call.ended()
            raise
        except BaseException as error:
            self._call.lost(error)
            raise
        return line

    def stream(self, *args: Any, **kwargs: Any) -> Iterator[bytes]:
        return self._watched(self._raw.stream(*args, **kwargs))

    def read_chunked(self, *args: Any, **kwargs: Any) -> Iterator[bytes]:
        return self._watched(self._raw.read_chunked(*args, **kwargs))

    def _watched(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        try:
            yield from chunks
        except BaseException as error:
            self._call.lost(error)
            raise
        self._call.ended()

    def read(self, amt: int | None = None, *args: Any, **kwargs: Any) -> bytes:
        data: bytes = self._read(self._raw.read, amt, *args, **kwargs)
        if not data and amt != 0 or amt is None or amt < 0:
            self._call.ended()
        return data

    def read1(self, amt: int | None = None, *args: Any, **kwargs: Any) -> bytes:
        data: bytes = self._read(self._raw.read1, amt, *args, **kwargs)
        if not data and amt != 0:
            self._call.ended()
        return data

    def readinto(self, buffer: Any) -> int:
        count: int = self._read(self._raw.readinto, buffer)
        if not count and len(buffer):
            self._call.ended()
        return count

    def _read(self, read: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        try:
            return read(*args, **kwargs)
        except BaseException as error:
            self._call.lost(error)
            raise

    @property
    def data(self) -> bytes:
        data: bytes = self._read(getattr, self._raw, "data")
        self._call.ended()
        return data

    def json(self) -> Any:
        # Whose own reads what is kept by now.
        _ = self.data
        return self._raw.json()

    def drain_conn(self) -> None:
        # As urllib3's own, which does not tell by what it ended.
        decoded = getattr(self._raw, "_has_decoded_content", False)
        with suppress(HTTPError, HTTPException, OSError):
            while self.read(65536, decode_content=decoded):
                pass

    def close(self) -> None:
        self._call.abandoned()
        self._raw.close()

    def release_conn(self) -> None:
        self._call.abandoned()
        self._raw.release_conn()
