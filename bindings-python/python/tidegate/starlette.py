"""Starlette: a limit as a decorator, and answers for what routes raise. Needs Starlette."""

from __future__ import annotations

import copy
import functools
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import anyio.from_thread
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.websockets import WebSocket, WebSocketState

from . import _notices
from ._answer import encoded, refuse
from ._below import Handlers
from ._fields import FIELDS, one_told
from ._functions import is_async, known_options
from ._gate import refusal as refusal_of
from ._guard import FAILED, Charge, Guard, LimitOptions, Refusal, Scope
from ._refusals import REFUSALS, Answers, came_before, handles, longest
from ._retryable import EXCEPTION_GROUP, members
from ._stack import Charges, Stack, stacked
from ._tidegate import try_again
from .errors import RateLimitedError, TidegateError
from .headers import HeaderList, Problem

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._gated import Refused
    from ._tidegate import Admission

__all__ = ["Refusal", "RouteLimitedError", "install_exception_handlers", "limit"]

F = TypeVar("F", bound=Callable[..., Any])

# What install_exception_handlers has put into applications.
_installed: weakref.WeakSet[Any] = weakref.WeakSet()


class RouteLimitedError(RateLimitedError, HTTPException):
    """A route's limit refused. Also an HTTPException, so that it is a 429 even without exception handlers.

    ``answer`` is what ``on_refused`` gave; without the exception handlers a Response stays unused, anything else is the
    ``detail``. ``refusal`` says which limit refused what; it is the ``detail`` where there is no other, and the client
    may know.
    """

    def __init__(
        self,
        retry_after: float,
        headers: HeaderList | None = None,
        policy: str = "default",
        denied_by: str | None = None,
        answer: Any = None,
        refusal: str | None = None,
    ) -> None:
        RateLimitedError.__init__(self, retry_after=retry_after, denied_by=denied_by)
        self.args = (retry_after, headers, policy, denied_by, answer, refusal)
        self.policy = policy
        self.problem = Problem.limited(policy)
        self.extra = headers or []
        self.answer = answer
        self.refusal = f'limit "{policy}" refused the request' if refusal is None else refusal
        if answer is not None and not callable(answer):
            # What cannot be sent is this call's error, not the handler's.
            encoded(answer)
        shown = self.problem.headers(retry_after)[2:] + self.extra
        self.status_code = 429
        if answer is None or callable(answer) or isinstance(answer, (bytes, bytearray, memoryview)):
            # Who is told no policy in the fields is not told one here.
            self.detail = str(self) if self.extra else "Too many requests"
        else:
            self.detail = answer
        self.headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in shown}

    def __str__(self) -> str:
        return f"{self.refusal}: {try_again(self.retry_after)}"


def route_refused(admission: Admission, refused: Refused, said: Any) -> TidegateError:
    """The error of a gate's refusal, with the answer that it is."""
    if said is not None and not callable(said):
        encoded(said)
    if admission.kind == "limit":
        wait, name = refused.retry_after or admission.retry_after, admission.denied_by or ""
        return RouteLimitedError(wait, refused.fields, name, name, said, admission._subject())
    error: Any = refusal_of(admission)
    error.part, error.extra, error.answer = (admission.kind, admission.denied_by), refused.fields, said
    return error  # type: ignore[no-any-return]


async def charge_route(charges: Charges, connection: HTTPConnection) -> Charge:
    """Charges a route's limit, or raises RouteLimitedError. A preflight is not counted: a refused one looks like a
    broken site.
    """
    try:
        return await _charge_route(charges, connection)
    except RouteLimitedError:
        raise
    except BaseException as error:
        connection.scope[FAILED] = error
        raise


def is_unserved(error: BaseException | None, scope: Scope) -> bool:
    """Whether a limit or another guard of a route has ended the request, and not the route: what limits took goes back.
    """
    if error is None:
        return False
    return isinstance(error, RouteLimitedError) or error is scope.get(FAILED) or came_before(error)


async def _charge_route(charges: Charges, connection: HTTPConnection) -> Charge:
    scope = connection.scope
    app = scope.get("app")
    if app is not None:
        _notices.check_order(app)
    if scope.get("method") == "OPTIONS" and scope["type"] == "http":
        return Charge([], [], False)
    charge = await charges.charge(scope)
    refused = charge.refused
    if refused is not None:
        guard, taken = refused
        guard.check_possible(taken)
        answer = None if guard.on_refused is None else await guard.answer(scope, taken)
        raise RouteLimitedError(
            guard.retry_after(taken),
            charge.fields,
            guard.violated(taken),
            taken.decision.denied_by,
            answer,
            guard.refusal(taken),
        )
    return charge


def tell(charge: Charge, connection: HTTPConnection, headers: HeaderList | None) -> None:
    """Puts a charge's fields where the answer gets them from, once: the middleware, if there is one, else ``headers``.
    """
    if charge.told:
        return
    shared = connection.scope.get(FIELDS)
    into = headers if shared is None else shared
    if into is not None:
        into[:] = one_told([*into, *charge.fields])
        charge.told, charge.shared = True, shared is not None


def with_fields(response: Response, fields: HeaderList) -> Response:
    """The response with more fields: a copy, for the route may give one object again and again."""
    if not fields:
        return response
    twin = copy.copy(response)
    twin.raw_headers = one_told([*response.raw_headers, *fields])
    # Its view of the fields, made anew when asked for.
    twin.__dict__.pop("_headers", None)
    return twin


def limit(limit: Any, **options: Unpack[LimitOptions]) -> Callable[[F], F]:
    """``@limit("5/minute", key=client_ip)`` between a Starlette endpoint and its route; sync or async, HTTP or
    WebSocket.

    Args:
        limit: a rate (with ``key`` one for each key, without it one for everybody), a TokenBucket, RateLimiter, Tier or
            LimitSet, or a function of the scope that gives one.
        options: ``burst``, ``fastest``, ``key``, ``cost``, ``skip``, ``name``, ``scope``, ``on_conflict``,
            ``on_refused``, ``headers``, ``legacy_headers``, ``jitter``, ``dry_run`` as TidegateMiddleware has them.

    Several decorators in a row hold together, all or nothing. Raises RouteLimitedError (429) when refused. For FastAPI
    take ``tidegate.fastapi.limit``.
    """
    known_options("limit", options, LimitOptions.__annotations__)
    guard = Guard(limit, **options)

    def decorate(endpoint: F) -> F:
        route, guards = stacked(endpoint, guard)
        charges = guards[0] if len(guards) == 1 else Stack(guards)
        if is_async(route):

            @functools.wraps(route)
            async def limited(*args: Any, **kwargs: Any) -> Any:
                connection = _connection(route, args, kwargs)
                charge = await charge_route(charges, connection)
                try:
                    answer = await route(*args, **kwargs)
                except BaseException as error:
                    if is_unserved(error, connection.scope):
                        charge.undo(connection.scope)
                    raise
                return _told(answer, charge, connection)

        else:

            @functools.wraps(route)
            def limited(*args: Any, **kwargs: Any) -> Any:
                # Starlette runs plain functions in anyio's threads, from where the loop can be asked.
                connection = _connection(route, args, kwargs)
                charge = anyio.from_thread.run(charge_route, charges, connection)
                try:
                    answer = route(*args, **kwargs)
                except BaseException as error:
                    if is_unserved(error, connection.scope):
                        charge.undo(connection.scope)
                    raise
                return _told(answer, charge, connection)

        return remember(limited, route, guards)  # type: ignore[no-any-return]

    return decorate


def remember(limited: Any, route: Any, guards: tuple[Guard, ...]) -> Any:
    """Marks a decorated route for those who decorate it again, and for the look at the start."""
    limited.__tidegate_limits__ = (limited, guards)
    _notices.decorated(route, limited)
    return limited


def _connection(endpoint: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> HTTPConnection:
    for value in (*args, *kwargs.values()):
        if isinstance(value, HTTPConnection):
            return value
    raise RuntimeError(
        f"{endpoint.__qualname__}: called without a request, so there is nothing to limit; outside of a route call "
        f"{endpoint.__qualname__}.__wrapped__"
    )


def _told(answer: Any, charge: Charge, connection: HTTPConnection) -> Any:
    tell(charge, connection, None)
    return with_fields(answer, charge.fields) if isinstance(answer, Response) and not charge.told else answer


def install_exception_handlers(app: Starlette, *, overload_status: int = 503) -> None:
    """Answers tidegate's refusals that leave a route: 429 for limits, ``overload_status`` for open circuits, full or
    closed queues, exhausted concurrency and shedding, 504 for timeouts, 403 for access lists; all with a problem body,
    never a 500, and with Retry-After where the error knows when. An ExceptionGroup of these alone, as a TaskGroup
    raises it, is answered as the one of them that lasts longest.

    Handlers of the application's own for one of these stay, and one for TimeoutError. It holds for the applications
    that are mounted below as well, also for those that are mounted while requests come, but for refusals that they
    handle themselves. Other errors, an ArenaError or ConfigError among them, are no refusals: the framework logs
    them and answers 500.
    """
    if not isinstance(app, Starlette):
        raise TypeError(f"app: expected a Starlette or FastAPI application, got {type(app).__name__}")
    answers = Answers(overload_status)

    async def on_refusal(connection: HTTPConnection, error: Exception) -> Response | None:
        return await _answer(connection, error, *answers.of(error))

    handlers: dict[Any, Any] = dict.fromkeys(REFUSALS, on_refusal)
    if EXCEPTION_GROUP is not None:
        handlers[EXCEPTION_GROUP] = _on_group
    for refusal, handler in handlers.items():
        # The application's own stay, and those of an earlier call of this go.
        known = app.exception_handlers
        if not handles(known, refusal) or known.get(refusal) in _installed:
            app.add_exception_handler(refusal, handler)
    _installed.update(handlers.values())
    Handlers(app.router, handlers, functools.partial(_notices.check_order, app, again=True))


async def _on_group(connection: HTTPConnection, group: Exception) -> Any:
    """The answer to a group of refusals; any other group goes on."""
    refusal: Any = longest(members(group))
    if refusal is None:
        raise group
    # Whose it is: the application's own, or one of those that were installed.
    handlers = connection.scope["starlette.exception_handlers"][0]
    handler: Any = next(handlers[kind] for kind in type(refusal).__mro__ if kind in handlers)
    if is_async(handler):
        return await handler(connection, refusal)
    return await run_in_threadpool(handler, connection, refusal)


async def _answer(
    connection: HTTPConnection, error: Exception, problem: Problem, retry_after: float | None
) -> Response | None:
    # What RouteLimitedError has, and what a gate refused.
    extra, said = getattr(error, "extra", []), getattr(error, "answer", None)
    if isinstance(connection, WebSocket):
        answer = getattr(connection, "send_denial_response", None)
        can_answer = "websocket.http.response" in (connection.scope.get("extensions") or ())
        if connection.application_state is not WebSocketState.CONNECTING or not can_answer or answer is None:
            await connection.close(code=1013, reason="try again later")
        else:
            # Here, for what a handler gives for a WebSocket is not sent by every Starlette.
            await answer(_Refused(problem, retry_after, extra, said))
        return None
    assert isinstance(connection, Request)
    return _Refused(problem, retry_after, extra, said)


class _Refused(Response):
    """A refusal as a response."""

    def __init__(self, problem: Problem, retry_after: float | None, extra: HeaderList, said: Any) -> None:
        super().__init__(problem.body, status_code=problem.status)
        self._problem, self._told, self._said = problem, (retry_after, extra), said
        self.raw_headers = problem.headers(retry_after) + extra

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if self._said is None:
            await super().__call__(scope, receive, send)
        else:
            await refuse(scope, receive, send, self._problem, *self._told, self._said)
