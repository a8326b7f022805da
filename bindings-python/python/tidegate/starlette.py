"""Starlette: a limit as a decorator, and answers for what routes raise. Needs Starlette."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

import anyio.from_thread
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.websockets import WebSocket, WebSocketState

from ._guard import Charge, Cost, Guard, Keys
from .asgi import FIELDS
from .errors import (
    CircuitOpenError,
    ConcurrencyLimitError,
    OverloadedError,
    QueueClosedError,
    QueueEmptyError,
    QueueFullError,
    RateLimitedError,
)
from .headers import HeaderList, Problem

__all__ = ["RouteLimitedError", "install_exception_handlers", "limit"]

F = TypeVar("F", bound=Callable[..., Any])

# Refusals that mean "later, when there is room again".
_OVERLOAD = (
    CircuitOpenError,
    ConcurrencyLimitError,
    OverloadedError,
    QueueClosedError,
    QueueEmptyError,
    QueueFullError,
)


class RouteLimitedError(RateLimitedError, HTTPException):
    """A route's limit refused. Also an HTTPException, so that it is a 429 even without exception handlers."""

    def __init__(
        self,
        retry_after: float,
        headers: HeaderList | None = None,
        policy: str = "default",
        denied_by: str | None = None,
    ) -> None:
        RateLimitedError.__init__(self, retry_after=retry_after, denied_by=denied_by)
        self.args = (retry_after, headers, policy, denied_by)
        self.problem = Problem.limited(policy)
        self.extra = headers or []
        shown = self.problem.headers(retry_after)[2:] + self.extra
        self.status_code = 429
        self.detail = "Too many requests"
        self.headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in shown}

    def __str__(self) -> str:
        return f"rate limited (retry in {self.retry_after:.3f} s)"


async def charge_route(guard: Guard, connection: HTTPConnection) -> Charge:
    """Charges a route's limit, or raises RouteLimitedError."""
    charge = await guard.charge(connection.scope)
    if not charge.admitted:
        raise RouteLimitedError(
            charge.retry_after, charge.fields, charge.violated, charge.decision.denied_by
        )
    return charge


def tell(charge: Charge, connection: HTTPConnection, headers: HeaderList | None) -> None:
    """Puts a charge's fields where the answer gets them from, once: the middleware, if there is one, else ``headers``."""
    if charge.told:
        return
    shared = connection.scope.get(FIELDS)
    into = headers if shared is None else shared
    if into is not None:
        into.extend(charge.fields)
        charge.told, charge.shared = True, shared is not None


def limit(limit: Any, **options: Any) -> Callable[[F], F]:
    """``@limit("5/minute", key=client_ip)`` between a Starlette endpoint and its route; sync or async, HTTP or WebSocket.

    Args:
        limit: a rate (with ``key`` one for each key, without it one for everybody), a TokenBucket, RateLimiter or LimitSet.
        options: ``burst``, ``key``, ``cost``, ``name``, ``scope``, ``headers``, ``legacy_headers``, ``jitter``, ``dry_run`` as
            TidegateMiddleware has them.

    Raises RouteLimitedError (429) when refused. For FastAPI take ``tidegate.fastapi.limit``.
    """
    guard = Guard(limit, **options)

    def decorate(endpoint: F) -> F:
        if inspect.iscoroutinefunction(endpoint):

            @functools.wraps(endpoint)
            async def limited(*args: Any, **kwargs: Any) -> Any:
                connection = _connection(endpoint, args, kwargs)
                charge = await charge_route(guard, connection)
                return _told(await endpoint(*args, **kwargs), charge, connection)

        else:

            @functools.wraps(endpoint)
            def limited(*args: Any, **kwargs: Any) -> Any:
                # Starlette runs plain functions in anyio's threads, from where the loop can be asked.
                connection = _connection(endpoint, args, kwargs)
                charge = anyio.from_thread.run(charge_route, guard, connection)
                return _told(endpoint(*args, **kwargs), charge, connection)

        return limited  # type: ignore[return-value]

    return decorate


def _connection(endpoint: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> HTTPConnection:
    for value in (*args, *kwargs.values()):
        if isinstance(value, HTTPConnection):
            return value
    raise RuntimeError(
        f"{endpoint.__qualname__}: called without a request, so there is nothing to limit; outside of a route call "
        f"{endpoint.__qualname__}.__wrapped__"
    )


def _told(answer: Any, charge: Charge, connection: HTTPConnection) -> Any:
    tell(charge, connection, answer.raw_headers if isinstance(answer, Response) else None)
    return answer


def install_exception_handlers(app: Starlette, *, overload_status: int = 503) -> None:
    """Answers tidegate's refusals that leave a route: 429 for limits, ``overload_status`` for open circuits, full or
    closed queues, exhausted concurrency and shedding; all with Retry-After and a problem body, never a 500.
    """
    limited, overloaded = Problem.limited("default"), Problem.overloaded(overload_status)

    async def on_limited(connection: HTTPConnection, error: Exception) -> Response | None:
        problem, extra = getattr(error, "problem", limited), getattr(error, "extra", [])
        return await _answer(connection, problem, getattr(error, "retry_after", 1.0), extra)

    async def on_overload(connection: HTTPConnection, error: Exception) -> Response | None:
        return await _answer(connection, overloaded, getattr(error, "retry_after", 1.0), [])

    app.add_exception_handler(RateLimitedError, on_limited)  # type: ignore[arg-type]
    for refusal in _OVERLOAD:
        app.add_exception_handler(refusal, on_overload)  # type: ignore[arg-type]


async def _answer(
    connection: HTTPConnection, problem: Problem, retry_after: float, extra: HeaderList
) -> Response | None:
    if isinstance(connection, WebSocket):
        can_answer = "websocket.http.response" in (connection.scope.get("extensions") or ())
        if connection.application_state is not WebSocketState.CONNECTING or not can_answer:
            await connection.close(code=1013, reason="try again later")
            return None
    assert isinstance(connection, (Request, WebSocket))
    response = Response(problem.body, status_code=problem.status)
    response.raw_headers = problem.headers(retry_after) + extra
    return response
