"""FastAPI: limits and breakers for single routes, and answers for what routes raise. Needs ``tidegate[fastapi]``."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import HTTPException, ValidationException
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.websockets import WebSocket, WebSocketState

from ._tidegate import CircuitBreaker, Decision, Permit, TokenBucket
from .errors import (
    CircuitOpenError,
    ConcurrencyLimitError,
    ConfigError,
    OverloadedError,
    QueueClosedError,
    QueueEmptyError,
    QueueFullError,
    RateLimitedError,
)
from .headers import HeaderList, Policy, Problem
from .keys import KeyFunction

__all__ = ["BreakerDependency", "RateLimit", "RouteLimitedError", "breaker", "install_exception_handlers"]

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

    def __init__(self, retry_after: float, headers: HeaderList | None = None, policy: str = "default") -> None:
        RateLimitedError.__init__(self, retry_after=retry_after)
        self.args = (retry_after, headers, policy)
        self.problem = Problem.limited(policy)
        self.extra = headers or []
        shown = self.problem.headers(retry_after)[2:] + self.extra
        self.status_code = 429
        self.detail = "Too many requests"
        self.headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in shown}

    def __str__(self) -> str:
        return f"rate limited (retry in {self.retry_after:.3f} s)"


class RateLimit:
    """``Depends(RateLimit("5/minute"))``: one limit for all callers of the routes that share this object.

    Args:
        rate: a rate such as ``"5/minute"``, or a TokenBucket to share between routes or processes of one event loop.
        burst: the most at once, for a rate given as text.
        cost: tokens a call takes.
        name: the limit's name in the RateLimit fields of a refusal.
        key: not yet: limits per client come with RateLimiter.

    Raises RouteLimitedError (429) when refused. Safe on any thread and event loop.
    """

    __slots__ = ("_cost", "_policy", "bucket")

    def __init__(
        self,
        rate: str | TokenBucket,
        *,
        burst: int | None = None,
        key: KeyFunction | None = None,
        cost: int = 1,
        name: str = "default",
    ) -> None:
        if key is not None:
            raise ConfigError(
                "key: limits per client need a RateLimiter, which this version does not have; "
                "leave key out for one limit for the whole route"
            )
        if isinstance(rate, TokenBucket):
            if burst is not None:
                raise ConfigError("burst: the TokenBucket already has one; leave burst out")
            self.bucket = rate
        elif isinstance(rate, str):
            self.bucket = TokenBucket(rate, burst=burst)
        else:
            raise TypeError(f'rate: expected a str such as "5/minute" or a TokenBucket, got {type(rate).__name__}')
        if isinstance(cost, bool) or not isinstance(cost, int):
            raise TypeError(f"cost: expected an int, got {type(cost).__name__}")
        if not 1 <= cost <= self.bucket.burst:
            raise ConfigError(f"cost: must be 1 to the burst ({self.bucket.burst}), or no call could pass; got {cost}")
        self._cost = cost
        self._policy = Policy(name)

    async def __call__(self, connection: HTTPConnection) -> None:
        """Takes the cost or raises. (A Python ``async def``: FastAPI would run anything else in a thread pool.)"""
        decision: Decision = self.bucket.check(self._cost)
        if not decision.allowed:
            fields = self._policy.headers(decision, self.bucket)
            raise RouteLimitedError(decision.retry_after, fields, self._policy.name)


class BreakerDependency:
    """Guards a route: no permit, no call (CircuitOpenError). Yields the Permit, for routes that know better.

    What the route raises is judged as the breaker judges it; an HTTPException below 500 and a failed validation say nothing
    about the dependency and are ignored. A route that answers with an error *response* calls ``permit.failure()``.
    """

    __slots__ = ("breaker",)

    def __init__(self, breaker: CircuitBreaker) -> None:
        self.breaker = breaker

    async def __call__(self) -> AsyncIterator[Permit]:
        """Acquires before the route, reports after it."""
        with self.breaker.acquire() as permit:
            try:
                yield permit
            except HTTPException as error:
                if error.status_code < 500:
                    permit.ignore()
                raise
            except ValidationException:
                permit.ignore()
                raise


_breakers: dict[str, tuple[CircuitBreaker, dict[str, Any]]] = {}
_breakers_lock = threading.Lock()


def breaker(breaker: str | CircuitBreaker, /, **config: Any) -> BreakerDependency:
    """``Depends(breaker("payment", cooldown=5))``: the breaker of that name, made on first use.

    The same name is the same breaker in this process; ``config`` (the arguments of CircuitBreaker) may be left out after
    the first time, and another one for the same name is a ConfigError. A CircuitBreaker is taken as it is.
    """
    if isinstance(breaker, CircuitBreaker):
        if config:
            raise ConfigError("breaker: a CircuitBreaker already has its settings; pass them to its constructor")
        return BreakerDependency(breaker)
    if not isinstance(breaker, str):
        raise TypeError(f"breaker: expected a name or a CircuitBreaker, got {type(breaker).__name__}")
    with _breakers_lock:
        known = _breakers.get(breaker)
        if known is None:
            known = _breakers[breaker] = (CircuitBreaker(breaker, **config), config)
        elif config and config != known[1]:
            raise ConfigError(f"breaker {breaker!r}: already made with other settings {known[1]}; a name has one configuration")
    return BreakerDependency(known[0])


def install_exception_handlers(app: FastAPI, *, overload_status: int = 503) -> None:
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
