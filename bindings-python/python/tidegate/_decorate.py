"""A circuit breaker and a concurrency limiter as decorators, and the breaker's async call."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar, cast

from ._functions import decorates, not_async
from ._tidegate import Guarded

if TYPE_CHECKING:
    from ._tidegate import CircuitBreaker, ConcurrencyLimiter, Permit

P = ParamSpec("P")
R = TypeVar("R")


def decorate(breaker: CircuitBreaker, func: Callable[P, R]) -> Callable[P, R]:
    """CircuitBreaker.__call__."""
    if decorates("a breaker", "with breaker.acquire():", func):
        return _guard_async(breaker, cast(Any, func))
    return functools.update_wrapper(Guarded(breaker, func), func)


def decorate_limited(limiter: ConcurrencyLimiter, func: Callable[..., Any]) -> Callable[..., Any]:
    """ConcurrencyLimiter.__call__."""
    if decorates("a concurrency limiter", "with limiter.acquire():", func):

        @functools.wraps(func)
        async def limited_async(*args: Any, **kwargs: Any) -> Any:
            permit = await limiter.acquire_async()
            try:
                result = await func(*args, **kwargs)
            except BaseException as error:
                permit.__exit__(type(error), error, error.__traceback__)
                raise
            _end(permit, result)
            return result

        return limited_async

    @functools.wraps(func)
    def limited(*args: Any, **kwargs: Any) -> Any:
        permit = limiter.acquire()
        try:
            result = func(*args, **kwargs)
        except BaseException as error:
            permit.__exit__(type(error), error, error.__traceback__)
            raise
        _end(permit, result)
        return result

    return limited


# What most functions return has no body, and need not be asked.
_PLAIN = frozenset((type(None), bool, int, float, str, bytes, tuple, list, dict))


def _end(permit: Held, result: object) -> None:
    """Reports a call that has returned, or leaves that to the end of the body that it streams."""
    if result.__class__ not in _PLAIN and hasattr(result, "body_iterator"):
        hold(permit, result)
    else:
        permit.__exit__(None, None, None)


class Held(Protocol):
    """A permit of a breaker or of a concurrency limiter."""

    def release(self) -> object:
        """Gives it back, and says nothing of the call."""

    def __exit__(self, kind: Any, error: Any, traceback: Any, /) -> Any:
        """Reports the end of the call."""


def _end_guarded(permit: Permit, result: object) -> None:
    """As `_end`, by the breaker's classifier."""
    if result.__class__ not in _PLAIN and hasattr(result, "body_iterator"):
        hold(permit, result)
    else:
        permit.result(result)


def hold(permit: Held, response: Any) -> None:
    """Keeps the permit of a route that has returned a Starlette StreamingResponse until the end of its body."""
    response.body_iterator = _Body(permit, response.body_iterator)


class _Body:
    """A body whose end is the end of the call. A client that goes away ends it, and says nothing of the dependency."""

    __slots__ = ("_body", "_permit")

    def __init__(self, permit: Held, body: Any) -> None:
        self._permit, self._body = permit, body.__aiter__()

    def __aiter__(self) -> _Body:
        return self

    async def __anext__(self) -> Any:
        try:
            return await self._body.__anext__()
        except StopAsyncIteration:
            self._permit.__exit__(None, None, None)
            raise
        except BaseException as error:
            self._permit.__exit__(type(error), error, error.__traceback__)
            raise

    async def aclose(self) -> None:
        """Ends it early."""
        self._permit.release()
        close = getattr(self._body, "aclose", None)
        if close is not None:
            await close()

    def __del__(self) -> None:
        # Dropped before its end, perhaps before its beginning.
        self._permit.release()


async def call_async(
    breaker: CircuitBreaker, func: Callable[..., Awaitable[R]], args: tuple[Any, ...], kwargs: Mapping[str, Any] | None
) -> R:
    """CircuitBreaker.call_async."""
    with breaker.acquire() as permit:
        made = func(*args, **(kwargs or {}))
        if not inspect.isawaitable(made):
            # A mistake of the caller, and no failure of the dependency.
            permit.ignore()
            raise not_async(made, "breaker.call(…)")
        result = await made
        permit.result(result)
        return result


def _guard_async(breaker: CircuitBreaker, func: Callable[..., Awaitable[Any]]) -> Callable[..., Any]:
    acquire = breaker.acquire

    @functools.wraps(func)
    async def guarded(*args: Any, **kwargs: Any) -> Any:
        permit = acquire()
        try:
            result = await func(*args, **kwargs)
        except BaseException as error:
            permit.__exit__(type(error), error, error.__traceback__)
            raise
        _end_guarded(permit, result)
        return result

    return guarded
