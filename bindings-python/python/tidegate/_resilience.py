"""Everything round one call, in the order in which it is right: docs/resilience.md says why."""

from __future__ import annotations

import inspect
import math
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, cast, overload

from ._fallback import Fallback, Outcome
from ._functions import decorates, not_async, refuse_lazy, wrapped
from ._retry import RetryPolicy
from ._sent import raised, returned
from ._tidegate import CircuitBreaker, ClientThrottle, ConcurrencyLimiter, Guarded
from ._time import limit_seconds
from ._timeout import Timeout
from .errors import ConfigError

P = ParamSpec("P")
R = TypeVar("R")
F = TypeVar("F", None, Fallback)

# What runs a function with its arguments; async ones give what is to be awaited.
_Layer = Callable[..., Any]


class Resilience(Generic[F]):
    """A call under several policies. From the outside in they are always

        fallback → total_timeout → retry → breaker → throttle → concurrency → attempt_timeout → the function

    in whatever order they are given; each attempt is one call for the breaker.

        bank = Resilience(retry=RetryPolicy(), breaker=CircuitBreaker("bank"), total_timeout=5, attempt_timeout=2)

        bank.call(charge, order)               # or `await bank.call_async(charge, order)`

        @bank                                  # or round a function, sync or async
        async def charge(order): ...

    Args:
        fallback: a Fallback; with one, a call gives an Outcome in place of the function's result.
        total_timeout: seconds, or a Timeout with ``total``, whose ``attempt`` is then that of each attempt.
        retry: a RetryPolicy.
        breaker: a CircuitBreaker.
        throttle: a ClientThrottle, in place of a breaker or within it.
        concurrency: a ConcurrencyLimiter.
        attempt_timeout: seconds, or a Timeout.

    Context variables reach every attempt and the fallback.

    Raises:
        ConfigError: a value outside what is allowed (a ValueError); TypeError: a wrong type.
    """

    __slots__ = ("__weakref__", "_async", "_parts", "_sync", "fallback")

    @overload
    def __init__(
        self: Resilience[None],
        *,
        fallback: None = None,
        total_timeout: float | timedelta | Timeout | None = None,
        retry: RetryPolicy | None = None,
        breaker: CircuitBreaker | None = None,
        throttle: ClientThrottle | None = None,
        concurrency: ConcurrencyLimiter | None = None,
        attempt_timeout: float | timedelta | Timeout | None = None,
    ) -> None: ...
    @overload
    def __init__(
        self: Resilience[Fallback],
        *,
        fallback: Fallback,
        total_timeout: float | timedelta | Timeout | None = None,
        retry: RetryPolicy | None = None,
        breaker: CircuitBreaker | None = None,
        throttle: ClientThrottle | None = None,
        concurrency: ConcurrencyLimiter | None = None,
        attempt_timeout: float | timedelta | Timeout | None = None,
    ) -> None: ...
    def __init__(
        self,
        *,
        fallback: Fallback | None = None,
        total_timeout: float | timedelta | Timeout | None = None,
        retry: RetryPolicy | None = None,
        breaker: CircuitBreaker | None = None,
        throttle: ClientThrottle | None = None,
        concurrency: ConcurrencyLimiter | None = None,
        attempt_timeout: float | timedelta | Timeout | None = None,
    ) -> None:
        total, attempt = _timeout("total_timeout", total_timeout), None
        if total is not None:
            if total.total is None and total.attempt is not None:
                raise ConfigError("total_timeout: give seconds, or a Timeout with total; this one has attempt alone")
            # Of one that has both, each is used where it belongs.
            attempt = None if total.attempt is None else Timeout(attempt=total.attempt, clock=total._clock)
            total = None if total.total is None else Timeout(total.total, clock=total._clock)
        given: dict[str, Any] = {
            "fallback": _part("fallback", fallback, Fallback),
            "total_timeout": total,
            "retry": _part("retry", retry, RetryPolicy),
            "breaker": _part("breaker", breaker, CircuitBreaker),
            "throttle": _part("throttle", throttle, ClientThrottle),
            "concurrency": _part("concurrency", concurrency, ConcurrencyLimiter),
            "attempt_timeout": _timeout("attempt_timeout", attempt_timeout) or attempt,
        }
        self._parts = {name: part for name, part in given.items() if part is not None}
        self.fallback = fallback
        within = dict(self._parts)
        if total is not None and any(name in within for name in ("retry", "breaker", "throttle", "concurrency")):
            # Else the total time would end a call that hangs by a cancellation, and the breaker count nothing.
            within.setdefault("attempt_timeout", Timeout(attempt=math.inf, clock=total._clock))
        if retry is not None and breaker is not None:
            within["retry"] = retry._around(breaker)
        self._sync, self._async = _layers(within)

    @overload
    def call(self: Resilience[None], func: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R: ...
    @overload
    def call(
        self: Resilience[Fallback], func: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs
    ) -> Outcome[R | Any]: ...
    def call(self, func: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Calls ``func`` under all policies, blocking this thread while they wait."""
        first, *others = self._sync
        if self.fallback is None:
            return first(*others, func, *args, **kwargs)
        return self.fallback._run(lambda *args, **kwargs: first(*others, func, *args, **kwargs), func, args, kwargs)

    @overload
    async def call_async(
        self: Resilience[None], func: Callable[P, Awaitable[R]], /, *args: P.args, **kwargs: P.kwargs
    ) -> R: ...
    @overload
    async def call_async(
        self: Resilience[Fallback], func: Callable[P, Awaitable[R]], /, *args: P.args, **kwargs: P.kwargs
    ) -> Outcome[R | Any]: ...
    async def call_async(self, func: Callable[..., Awaitable[Any]], /, *args: Any, **kwargs: Any) -> Any:
        """Awaits ``func`` under all policies."""
        first, *others = self._async
        if self.fallback is None:
            return await first(*others, func, *args, **kwargs)
        return await self.fallback._run_async(
            lambda *args, **kwargs: first(*others, func, *args, **kwargs), func, args, kwargs
        )

    @overload
    def wrap(self: Resilience[None], func: Callable[P, R], /) -> Callable[P, R]: ...
    @overload
    def wrap(self: Resilience[Fallback], func: Callable[P, R], /) -> Callable[P, Any]: ...
    def wrap(self, func: Callable[..., Any], /) -> Callable[..., Any]:
        """``func`` under all policies; an ``async def`` stays one. TypeError for generators and what is no function."""
        is_async = decorates("a resilience policy", "resilience.call(…)", func)
        return cast(Callable[..., Any], wrapped(func, is_async, cast(Any, self).call, cast(Any, self).call_async))

    @overload
    def __call__(self: Resilience[None], func: Callable[P, R], /) -> Callable[P, R]: ...
    @overload
    def __call__(self: Resilience[Fallback], func: Callable[P, R], /) -> Callable[P, Any]: ...
    def __call__(self, func: Callable[..., Any], /) -> Callable[..., Any]:
        return cast(Callable[..., Any], cast(Any, self).wrap(func))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={part!r}' for name, part in self._parts.items())})"


def _part(name: str, value: Any, kind: type) -> Any:
    if value is None or isinstance(value, kind):
        return value
    raise TypeError(f"{name}: expected a {kind.__name__}, got {type(value).__name__}")


def _timeout(name: str, value: Any) -> Timeout | None:
    """A Timeout, of seconds as well."""
    if value is None or isinstance(value, Timeout):
        return value
    seconds = limit_seconds(name, value)
    limit = math.inf if seconds is None else seconds
    return Timeout(total=limit) if name == "total_timeout" else Timeout(attempt=limit)


def _layers(parts: dict[str, Any]) -> tuple[list[_Layer], list[_Layer]]:
    """What runs the function, from the outside in, sync and async. Each is called with those inside of it."""
    sync: list[_Layer] = []
    is_async: list[_Layer] = []
    for name in ("total_timeout", "retry", "breaker", "throttle", "concurrency", "attempt_timeout"):
        if name not in parts:
            continue
        part = parts[name]
        if name in ("breaker", "concurrency"):
            held, held_async = _guarded(part) if name == "breaker" else _limited(part)
            sync.append(held)
            is_async.append(held_async)
        else:
            sync.append(part.call)
            is_async.append(part.call_async)
    # What the function itself gives, whichever policies there are.
    return [*sync, _made], [*is_async, _awaited]


def _made(func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    result = func(*args, **kwargs)
    refuse_lazy(result)
    return result


async def _awaited(func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    made = func(*args, **kwargs)
    if not inspect.isawaitable(made):
        raise not_async(made, "resilience.call(…)")
    return await made


def _guarded(breaker: CircuitBreaker) -> tuple[_Layer, _Layer]:
    """Calls under a breaker, as its decorator makes them: what a route returns to be sent later is judged then."""

    def call(func: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        return Guarded(breaker, func)(*args, **kwargs)

    return call, _held(breaker.acquire)


def _limited(limiter: ConcurrencyLimiter) -> tuple[_Layer, _Layer]:
    """Calls under a permit, which is held until the function has returned, or what it returned is sent."""

    def call(func: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        permit = limiter.acquire()
        try:
            result = func(*args, **kwargs)
        except BaseException as error:
            raised(permit, error)
            raise
        return returned(permit, result, func)

    return call, _held(limiter.acquire_async)


def _held(acquire: Callable[[], Any]) -> _Layer:
    async def call_async(func: Callable[..., Awaitable[Any]], /, *args: Any, **kwargs: Any) -> Any:
        permit = acquire()
        if inspect.isawaitable(permit):
            permit = await permit
        try:
            result = await func(*args, **kwargs)
        except BaseException as error:
            raised(permit, error)
            raise
        return returned(permit, result, func)

    return call_async
