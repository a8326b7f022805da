"""FastAPI: limits and breakers for single routes, and answers for what routes raise. Needs ``tidegate[fastapi]``."""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any, TypeVar

from fastapi import Depends
from fastapi.exceptions import HTTPException, ValidationException
from starlette.requests import HTTPConnection
from starlette.responses import Response

from ._guard import Charge, Cost, Guard, Keys
from ._tidegate import CircuitBreaker, HostScope, LimitSet, Permit, RateLimiter, TokenBucket
from .errors import ConfigError
from .starlette import RouteLimitedError, charge_route, install_exception_handlers, tell

__all__ = [
    "BreakerDependency",
    "Charge",
    "RateLimit",
    "RouteLimitedError",
    "breaker",
    "install_exception_handlers",
    "limit",
]

F = TypeVar("F", bound=Callable[..., Any])


class RateLimit:
    """``Depends(RateLimit("5/minute", key=client_ip))``: a limit for the routes that share this object.

    Args:
        limit: a rate (with ``key`` one for each key, without it one for everybody; several joined by ``;`` hold together), a
            TokenBucket, RateLimiter or LimitSet to share.
        burst: the most at once, for a rate given as text.
        key: whose limit it is, a function of the ASGI scope (see ``tidegate.keys``), sync or async. A dependency before this
            one may have left the user there: ``key=lambda scope: scope["state"]["user"]``.
        cost: tokens a call takes, or a function of the scope.
        name: the limit's name in the RateLimit fields of answers, and in its scope; ``headers=False`` leaves the fields out.
        scope: where a limit given as a rate keeps its state: ``"host:orders"`` is one for all workers of this machine.
        legacy_headers, jitter, dry_run: as TidegateMiddleware's.

    Gives the route a ``Charge``, whose ``refund()`` takes it back. Raises RouteLimitedError (429) when refused. A limit that the
    middleware counted for this request already is not counted again. Safe on any thread and event loop.
    """

    __slots__ = ("_guard", "limit")

    def __init__(
        self,
        limit: str | TokenBucket | RateLimiter | LimitSet,
        *,
        burst: int | None = None,
        key: Keys | None = None,
        cost: Cost = 1,
        name: str | None = None,
        scope: str | HostScope | None = None,
        headers: bool = True,
        legacy_headers: bool = False,
        jitter: float = 0.0,
        dry_run: bool = False,
    ) -> None:
        self._guard = Guard(
            limit,
            burst=burst,
            key=key,
            cost=cost,
            name=name,
            scope=scope,
            headers=headers,
            legacy_headers=legacy_headers,
            jitter=jitter,
            dry_run=dry_run,
        )
        self.limit = self._guard.limit

    async def __call__(self, connection: HTTPConnection, response: Response) -> Charge:
        """Takes the cost or raises. (A Python ``async def``: FastAPI would run anything else in a thread pool.)"""
        charge = await charge_route(self._guard, connection)
        tell(charge, connection, response.raw_headers)
        return charge


def limit(limit: str | TokenBucket | RateLimiter | LimitSet, **options: Any) -> Callable[[F], F]:
    """``@limit("5/minute", key=client_ip)`` under ``@app.get(…)``: the route needs no ``request`` parameter.

    It adds a dependency to the signature that FastAPI sees, so that sync and async routes, WebSockets and async keys all work.
    The arguments are RateLimit's. The order matters: FastAPI must see the decorated function, so ``@limit`` stands below
    ``@app.get``.
    """
    dependency = RateLimit(limit, **options)

    def decorate(route: F) -> F:
        signature = _signature(route)
        name = "tidegate_limit"
        while name in signature.parameters:
            name += "_"
        charged = inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, annotation=Annotated[Charge, Depends(dependency)]
        )

        def charge_of(kwargs: dict[str, Any]) -> Charge:
            charge = kwargs.pop(name, None)
            if charge is None:
                raise RuntimeError(
                    f"{route.__qualname__}: not called by FastAPI, so there is nothing to limit; outside of a route call "
                    f"{route.__qualname__}.__wrapped__"
                )
            assert isinstance(charge, Charge)
            return charge

        if inspect.iscoroutinefunction(route):

            @functools.wraps(route)
            async def limited(*args: Any, **kwargs: Any) -> Any:
                charge = charge_of(kwargs)
                return _told(await route(*args, **kwargs), charge)

        else:

            @functools.wraps(route)
            def limited(*args: Any, **kwargs: Any) -> Any:
                charge = charge_of(kwargs)
                return _told(route(*args, **kwargs), charge)

        limited.__signature__ = _with(signature, charged)  # type: ignore[attr-defined]
        return limited  # type: ignore[return-value]

    return decorate


def _signature(route: Callable[..., Any]) -> inspect.Signature:
    try:
        # Here, where the names in its annotations are those of its own module.
        return inspect.signature(route, eval_str=True)
    except NameError:
        return inspect.signature(route)


def _with(signature: inspect.Signature, added: inspect.Parameter) -> inspect.Signature:
    parameters = list(signature.parameters.values())
    at = next((at for at, known in enumerate(parameters) if known.kind is known.VAR_KEYWORD), len(parameters))
    return signature.replace(parameters=[*parameters[:at], added, *parameters[at:]])


def _told(answer: Any, charge: Charge) -> Any:
    # FastAPI leaves a Response that the route made as it is, and drops what dependencies said of headers.
    if isinstance(answer, Response) and not charge.shared:
        answer.raw_headers.extend(charge.fields)
    return answer


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
