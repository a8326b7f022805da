"""Circuit breakers, retries and client throttles for aiohttp (3.12 or later), as a middleware of the session.

    session = aiohttp.ClientSession(middlewares=[Middleware(breaker=bank, retry=RetryPolicy(attempts=3))])

For its server, answers for the refusals that leave a handler:

    app = web.Application(middlewares=[refusal_middleware()])
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any, Literal

import aiohttp
from aiohttp.helpers import BaseTimerContext
from aiohttp.payload import BytesPayload, IOBasePayload

from . import errors
from ._client import Call, Calls, Chosen, Kind, Sending, ends_at_headers, origin
from ._refusals import Answers, answered
from ._retry import RetryPolicy
from ._tidegate import Classifier
from ._time import sleep_async

__all__ = ["Middleware", "refusal_middleware"]


class CircuitOpenError(errors.CircuitOpenError, aiohttp.ClientConnectionError):
    """The circuit is open: nothing was sent, or ``attempts`` times something that failed."""

    attempts = 0


class ThrottledError(errors.ThrottledError, aiohttp.ClientConnectionError):
    """The throttle rejected the call: nothing was sent."""

    attempts = 0


class RetryBudgetExceededError(errors.RetryBudgetExceededError, aiohttp.ClientConnectionError):
    """The last attempt failed, and the budget of retries is empty."""


class TimeoutExceededError(errors.TimeoutExceededError, aiohttp.ServerTimeoutError):
    """The deadline had passed: nothing was sent."""

    attempts = 0
    _begun = False


def _status_error(response: aiohttp.ClientResponse) -> Exception:
    return aiohttp.ClientResponseError(
        response.request_info,
        response.history,
        status=response.status,
        message=response.reason or "",
        headers=response.headers,
    )


def _repeatable(request: aiohttp.ClientRequest) -> bool:
    return _is_kept(request.body)


def _is_kept(body: Any) -> bool:
    if isinstance(body, aiohttp.MultipartWriter):
        return all(_is_kept(part[0]) for part in body)
    if isinstance(body, IOBasePayload):
        # A file goes back to where it was, and says so where it cannot.
        return not body.consumed
    return isinstance(body, (bytes, BytesPayload))


def _host(request: aiohttp.ClientRequest) -> str | None:
    return origin(request.url.scheme, request.url.host, request.url.port)


# What a request of this task has failed by that aiohttp itself sends a second time, once, and the request's timer.
_failed: ContextVar[tuple[Any, Exception] | None] = ContextVar("tidegate.aiohttp", default=None)
_SENT_TWICE = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PUT", "TRACE"})

_KIND = Kind(
    CircuitOpenError, ThrottledError, RetryBudgetExceededError, TimeoutExceededError, _status_error, _repeatable, _host
)


class Middleware:
    """A client middleware that puts requests under breaker, retries and throttle.

    Args:
        breaker: a CircuitBreaker, or what gives the one of a key: a function, or an object with ``get(key)``, such as a
            BreakerRegistry or a dict (None: no breaker).
        key: a function of the ClientRequest; default: its host, with the port where that is not the scheme's own.
        retry: which requests are sent again, and when; its ``retry_on``, if it has one, goes before the classifier.
            GET, HEAD, OPTIONS, PUT and DELETE are sent again by themselves, others with an Idempotency-Key; a body that
            is read once never is.
        budget: a RetryBudget, or one of a key as for ``breaker``, where the policy has none.
        throttle: a ClientThrottle, or one of a key.
        classifier: what responses and errors mean, for all of these; default: ``http()``.
        idempotent: whether all other requests may be sent again; or a function of the ClientRequest.
        outcome_at: when the breaker hears of an answer that is well: at the end of its "body", or at the "headers"
            (for streams that have no end).
        deadline_header: what the server is told the time in that a ``Deadline`` around the call leaves, less 5 %, or
            None.

    A response stays a response when it is not sent again. CircuitOpenError, ThrottledError and RetryBudgetExceededError
    are aiohttp.ClientConnectionErrors as well, TimeoutExceededError (the deadline had passed) is an
    aiohttp.ServerTimeoutError.
    """

    def __init__(
        self,
        *,
        breaker: Chosen = None,
        key: Callable[[aiohttp.ClientRequest], str | None] | None = None,
        retry: RetryPolicy | None = None,
        budget: Chosen = None,
        throttle: Chosen = None,
        classifier: Classifier | None = None,
        idempotent: bool | Callable[[aiohttp.ClientRequest], bool] = False,
        outcome_at: Literal["body", "headers"] = "body",
        deadline_header: str | None = "X-Request-Timeout-Ms",
    ) -> None:
        self._calls = Calls(
            _KIND, breaker=breaker, key=key, retry=retry, budget=budget, throttle=throttle, classifier=classifier,
            idempotent=idempotent, outcome_at=outcome_at, deadline_header=deadline_header,
        )  # fmt: skip

    async def __call__(
        self,
        request: aiohttp.ClientRequest,
        handler: Callable[[aiohttp.ClientRequest], Awaitable[aiohttp.ClientResponse]],
    ) -> aiohttp.ClientResponse:
        sending = self._calls.sending(request, request.method, request.headers)
        session = request.session
        is_second = _resume(sending, request, self._calls.retry is not None)
        while True:
            try:
                call = sending.begin()
            except aiohttp.ClientError as error:
                if not is_second:
                    _note_failed(request, error)
                raise
            try:
                response = await handler(request)
            except BaseException as error:
                is_over = _is_over(request)
                judged = _as_timeout(request, error) if is_over else error
                wait = sending.raised(call, judged, session.closed, is_last=is_over)
                # Its cause's traceback holds this frame.
                del judged
                if wait is None:
                    if not is_second:
                        _note_failed(request, error)
                    raise
            else:
                # Without a connection all of the body has come.
                connection = response.connection
                at_end = connection is None or ends_at_headers(request.method, response.status, response.headers)
                try:
                    wait = sending.answered(call, response, at_end)
                except BaseException:
                    response.close()
                    raise
                if wait is None:
                    if call.pending and connection is not None:
                        connection.add_callback(_Body(response, call, session))
                    return response
                response.release()
            # Outside of the handler, and with no connection held; ended by the client's own time for all of it.
            with _timer(request):
                if wait > 0:
                    await sleep_async(wait, sending.clock)


def _timer(request: aiohttp.ClientRequest) -> contextlib.AbstractContextManager[Any]:
    """What ends the ``total`` of the client's timeout, which is one for all attempts."""
    timer = getattr(request, "_timer", None)
    return timer if isinstance(timer, BaseTimerContext) else contextlib.nullcontext()


def _is_over(request: aiohttp.ClientRequest) -> bool:
    timer = getattr(request, "_timer", None)
    if isinstance(timer, BaseTimerContext):
        try:
            timer.assert_timeout()
        except asyncio.TimeoutError:
            return True
    return False


def _as_timeout(request: aiohttp.ClientRequest, error: BaseException) -> BaseException:
    """What ends a request whose time is over: aiohttp's timer cancels the task, and only outside of the middleware,
    where the timer ends, is that made a TimeoutError. The caller's own cancellation stays one.
    """
    if not isinstance(error, asyncio.CancelledError) or _is_callers(request):
        return error
    timeout = aiohttp.ConnectionTimeoutError("the client's time for the request was over")
    # Where it waited for a connection of the pool, the server has no part in it: the classifier looks for that there.
    timeout.__cause__ = error
    return timeout


def _is_callers(request: aiohttp.ClientRequest) -> bool:
    """Whether somebody besides the timer has cancelled the task, which only Python 3.11 or later can tell."""
    task = asyncio.current_task()
    cancelling, before = getattr(task, "cancelling", None), getattr(_timer(request), "_cancelling", 0)
    return cancelling is not None and cancelling() > before + 1


def _note_failed(request: aiohttp.ClientRequest, error: BaseException) -> None:
    """Knows the next call for the same request by its timer, which is one for all of its hops."""
    if request.method in _SENT_TWICE and isinstance(error, (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError)):
        _failed.set((getattr(request, "_timer", None), error))


def _resume(sending: Sending, request: aiohttp.ClientRequest, retried: bool) -> bool:
    """Whether aiohttp sends a request a second time. Raises what it failed by where that has been decided."""
    found = _failed.get()
    if found is None:
        return False
    _failed.set(None)
    try:
        if found[0] is None or found[0] is not getattr(request, "_timer", None):
            return False
        if retried:
            raise found[1]
        sending.resumes(found[1])
        return True
    finally:
        # The error's traceback holds this frame.
        del found


class _Body:
    """Is called when the connection of a response is given back or closed, of which there is always one."""

    def __init__(self, response: aiohttp.ClientResponse, call: Call, session: aiohttp.ClientSession) -> None:
        self._content, self._call, self._session = response.content, call, session

    def __call__(self) -> None:
        error = self._content.exception()
        if error is None and self._content.is_eof():
            self._call.ended()
            return
        # What aiohttp leaves when it is told to close: its subclasses are what went wrong.
        if error is None or type(error) is aiohttp.ClientConnectionError:
            error = _timeout()
        if error is None:
            self._call.abandoned()
        else:
            self._call.lost(error, self._session.closed)


def _timeout() -> BaseException | None:
    """The timeout of the client that is being raised: it closes the response and leaves no trace there.

    One of the caller's own says nothing of the server.
    """
    error = sys.exc_info()[1]
    traceback = error.__traceback__ if isinstance(error, asyncio.TimeoutError) else None
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    inside = traceback is not None and str(traceback.tb_frame.f_globals.get("__name__")).startswith("aiohttp.")
    return error if inside else None


def refusal_middleware(*, overload_status: int = 503) -> Any:
    """A middleware of aiohttp's server, which answers tidegate's refusals that leave a handler: 429 for limits,
    ``overload_status`` for open circuits, full or closed queues, exhausted concurrency and shedding, 504 for timeouts,
    403 for access lists; all with a problem body, never a 500, and with Retry-After where the error knows when. An
    ExceptionGroup of these alone is answered as the one of them that lasts longest.

    Other errors, an ArenaError or ConfigError among them, are no refusals: aiohttp logs them and answers 500. Put it
    first, so that it sees what the other middlewares raise.
    """
    from aiohttp import web

    answers = Answers(overload_status)

    @web.middleware
    async def refusals(request: web.Request, handler: Callable[[web.Request], Awaitable[Any]]) -> Any:
        try:
            return await handler(request)
        except Exception as error:
            answer = answered(answers, error)
            if answer is None:
                raise
            status, fields, body = answer
            return web.Response(status=status, body=body, headers=dict(fields))

    return refusals
