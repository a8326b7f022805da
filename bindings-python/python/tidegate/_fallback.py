"""What stands in for a call that failed."""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, ParamSpec, TypeVar, cast

from ._cached import Cache
from ._classify import CancelledError
from ._forked import renewed
from ._functions import called, decorates, function, is_lazy, not_async, refuse_lazy, wrapped
from ._log import log
from ._retryable import (
    Filter,
    Verdict,
    abandon,
    abandon_async,
    failed_result,
    filter_of,
    is_own,
    is_transient,
    is_wrong_call,
    matches,
    members,
    readers_of,
)
from ._tidegate import BoundedQueue, CircuitBreaker
from .errors import ArenaError, CircuitOpenError, ConfigError, QueueClosedError

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T", covariant=True)

# What there is, in the order in which it is tried.
_KINDS = ("cached", "static", "alternatives", "queue")
# What else the source of an outcome can be.
_TAKEN = ("primary", "cache", "static", "queued")
_NOTHING: Any = object()


@dataclass(frozen=True)
class Outcome(Generic[T]):
    """What a call with a fallback gave.

    ``source`` is "primary", "cache", "static", "queued" or the name of an alternative; ``value`` is None where it is
    "queued", and of any type where something else stands in; ``error`` what the primary raised, where something stands
    in; ``age`` the seconds since a value of the cache came.
    """

    value: T
    source: str
    error: Exception | None = None
    age: float | None = None


class Alternative(NamedTuple):
    """Another function for the same call; ``name`` (default: its own) is the outcome's source.

    ``breaker`` is a CircuitBreaker for it alone (default: one of that name with the default settings).
    """

    call: Callable[..., Any]
    name: str | None = None
    breaker: CircuitBreaker | None = None


class QueuedCall(NamedTuple):
    """What a fallback's queue holds: a call to be made later, and by what it failed."""

    call: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    error: Exception | None


@dataclass(frozen=True)
class FallbackStats:
    """Calls that the primary answered; that it failed; what stood in, by source; and where nothing did."""

    primary: int
    failures: int
    fallback: dict[str, int]
    unserved: int


class _Failed(NamedTuple):
    """A call that failed, and all that stands in for it needs."""

    error: Exception | None
    func: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    key: Hashable


class Fallback:
    """Something else for a call that failed.

        rates = Fallback(cached=cached(max_age=600), alternatives=[ask_other_bank], static={})

        outcome = rates.call(ask_bank, "EUR")
        outcome.value, outcome.source      # {…}, "cache"

    Args:
        cached: a cache, as ``cached(max_age=60)`` makes one: the last good value of the same call.
        static: a value, or a function of the primary's error that gives one.
        alternatives: functions that are called with the same arguments, or ``Alternative(function, name, breaker)``;
            each has a circuit breaker of its own.
        queue: a BoundedQueue that takes the call as a QueuedCall, for whoever makes it later.
        order: the names of what is given, in the order in which it is to be tried. Default: as they stand here.
        fallback_on: the errors for which it is there: a class, a function of the exception, a Classifier such as
            ``http()``, or several of these. A Classifier judges results as well, and leaves refusals to be replaced.
            Default: failures, as a RetryPolicy judges them, and tidegate's refusals.

    Never for what is no Exception (a cancelled task, Ctrl-C), a cancelled future or wrong arguments. If nothing stands
    in, the primary's error is raised, or its failed result is the outcome. What ``fallback_on`` raises is raised; a
    ``static`` function that raises is logged, and what comes after it is tried.

    Raises:
        ConfigError: a value outside what is allowed (a ValueError); TypeError: a wrong type.
    """

    __slots__ = (
        "__weakref__",
        "_alternatives",
        "_cached",
        "_fallback",
        "_failures",
        "_fallback_on",
        "_is_function",
        "_lock",
        "_order",
        "_primary",
        "_queue",
        "_readers",
        "_static",
        "_unserved",
    )

    def __init__(
        self,
        *,
        cached: Cache | None = None,
        static: Any = _NOTHING,
        alternatives: Sequence[Callable[..., Any] | Alternative] | None = None,
        queue: BoundedQueue[Any] | None = None,
        order: Sequence[str] | None = None,
        fallback_on: Filter | list[Filter] | None = None,
    ) -> None:
        if cached is not None and not isinstance(cached, Cache):
            raise TypeError(f"cached: expected what cached(max_age=60) makes, got {_shown(cached)}")
        if queue is not None and not isinstance(queue, BoundedQueue):
            raise TypeError(f"queue: expected a BoundedQueue, got {_shown(queue)}")
        # Others that can be called, such as a Starlette response, are values.
        self._is_function = isinstance(static, functools.partial) or inspect.isroutine(static)
        if self._is_function:
            function("static", static, "the error")
        self._cached, self._static, self._queue = cached, static, queue
        self._alternatives = _alternatives(alternatives)
        given = {
            "cached": cached is not None,
            "static": static is not _NOTHING,
            "alternatives": bool(self._alternatives),
            "queue": queue is not None,
        }
        self._order = _order(order, tuple(kind for kind in _KINDS if given[kind]))
        self._fallback_on = None if fallback_on is None else filter_of("fallback_on", fallback_on)
        self._readers = readers_of(self._fallback_on)
        self._lock = threading.Lock()
        self._primary = self._failures = self._unserved = 0
        sources = {"cached": ["cache"], "alternatives": [*self._alternatives], "queue": ["queued"]}
        # By source, in the order in which they are tried.
        self._fallback = {source: 0 for kind in self._order for source in sources.get(kind, [kind])}
        renewed(self)

    def call(self, func: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Outcome[R | Any]:
        """Calls ``func``, or what stands in for it."""
        return self._run(func, func, args, kwargs)

    async def call_async(
        self, func: Callable[P, Awaitable[R]], /, *args: P.args, **kwargs: P.kwargs
    ) -> Outcome[R | Any]:
        """Awaits ``func``, or what stands in for it, which may be async or not."""
        return await self._run_async(func, func, args, kwargs)

    def wrap(self, func: Callable[P, R], /) -> Callable[P, Any]:
        """``func``, giving an Outcome; an ``async def`` stays one. TypeError for generators and what is no function."""
        return cast(
            Callable[P, Any],
            wrapped(func, decorates("a fallback", "fallback.call(…)", func), self.call, self.call_async),
        )

    def __call__(self, func: Callable[P, R], /) -> Callable[P, Any]:
        return self.wrap(func)

    @property
    def breakers(self) -> dict[str, CircuitBreaker]:
        """Those of the alternatives, by name."""
        return {name: breaker for name, (_, breaker) in self._alternatives.items()}

    def stats(self) -> FallbackStats:
        """The counters."""
        with self._lock:
            return FallbackStats(self._primary, self._failures, dict(self._fallback), self._unserved)

    def _run(
        self, primary: Callable[..., R], func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Outcome[Any]:
        """``primary`` makes the call; ``func`` is what a key and a queue know it by."""
        key = None if self._cached is None else self._cached.key_of(func, args, kwargs)

        def make() -> R:
            result = primary(*args, **kwargs)
            refuse_lazy(result)
            return result

        value: Any = None
        error: Exception | None = None
        verdict: Verdict | None = None
        try:
            value = make() if self._cached is None else self._cached.once(key, make)
            verdict = failed_result(self._readers, value) if self._readers else None
        except Exception as failure:
            if not self._is_for(failure):
                raise
            error = failure
        if error is None and verdict is None:
            return self._good(key, value)
        self._count_failure()
        try:
            # Outside of the handler: what stands in has nothing to do with the error.
            failed = _Failed(error, func, args, kwargs, key)
            for source in self._fallback:
                outcome: Outcome[Any] | None = self._from(source, failed)
                if outcome is not None:
                    if error is None:
                        abandon(value)
                    return self._served(outcome)
            return self._unserved_by(error, value)
        finally:
            # Its traceback holds this frame, which else would hold it.
            error = outcome = None
            del failed

    async def _run_async(
        self,
        primary: Callable[..., Awaitable[R]],
        func: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Outcome[Any]:
        """As ``_run``."""
        key = None if self._cached is None else self._cached.key_of(func, args, kwargs)

        async def make() -> R:
            made = primary(*args, **kwargs)
            if not inspect.isawaitable(made):
                raise not_async(made, "fallback.call(…)")
            return await made

        value: Any = None
        error: Exception | None = None
        verdict: Verdict | None = None
        try:
            value = await (make() if self._cached is None else self._cached.once_async(key, make))
            verdict = failed_result(self._readers, value) if self._readers else None
        except Exception as failure:
            if not self._is_for(failure):
                raise
            error = failure
        if error is None and verdict is None:
            return self._good(key, value)
        self._count_failure()
        try:
            failed = _Failed(error, func, args, kwargs, key)
            for source in self._fallback:
                outcome: Outcome[Any] | None = await self._from_async(source, failed)
                if outcome is not None:
                    if error is None:
                        await abandon_async(value)
                    return self._served(outcome)
            return self._unserved_by(error, value)
        finally:
            error = outcome = None
            del failed

    def _is_for(self, error: Exception) -> bool:
        if any(isinstance(one, (CancelledError, ConfigError)) or is_wrong_call(one) for one in members(error)):
            return False
        chosen = self._fallback_on
        if chosen is None:
            return all(_is_refusal(one) or is_transient(one) for one in members(error))
        # A Classifier has no word on refusals, which no call of the dependency ended with.
        return bool(matches("fallback_on", chosen, error)) or (bool(self._readers) and _is_refusal(error))

    def _from(self, source: str, failed: _Failed) -> Outcome[Any] | None:
        """What this source gives."""
        error = failed.error
        if source == "cache":
            kept = None if self._cached is None else self._cached.look(failed.key)
            return None if kept is None else Outcome(kept[0], source, error, kept[1])
        if source == "queued":
            return Outcome(None, source, error) if self._pushed(failed) else None
        try:
            if source == "static":
                value = self._static(error) if self._is_function else self._static
                refuse_lazy(value)
            else:
                call, breaker = self._alternatives[source]
                with breaker.acquire() as permit:
                    value = call(*failed.args, **failed.kwargs)
                    if is_lazy(value):
                        # A mistake of the caller, and no failure of the dependency.
                        permit.ignore()
                        refuse_lazy(value)
                    permit.result(value)
        except Exception as thrown:
            self._pass_over(source, thrown, error)
            return None
        return None if self._is_bad(source, value) else Outcome(value, source, error)

    async def _from_async(self, source: str, failed: _Failed) -> Outcome[Any] | None:
        """As ``_from``; functions may be async or not."""
        error = failed.error
        if source in ("cache", "queued") or (source == "static" and not self._is_function):
            return self._from(source, failed)
        try:
            if source == "static":
                value = self._static(error)
                if inspect.isawaitable(value):
                    value = await value
            else:
                call, breaker = self._alternatives[source]
                with breaker.acquire() as permit:
                    value = call(*failed.args, **failed.kwargs)
                    if inspect.isawaitable(value):
                        value = await value
                    permit.result(value)
        except Exception as thrown:
            self._pass_over(source, thrown, error)
            return None
        if self._is_bad(source, value):
            await abandon_async(value)
            return None
        return Outcome(value, source, error)

    def _pass_over(self, source: str, thrown: Exception, error: Exception | None) -> None:
        """The next is tried; or it is raised, where another could not do better: a provider that declines has answered.
        """
        if source == "static":
            log.warning("static: %s of a Fallback raised", called(self._static), exc_info=thrown)
        elif not isinstance(thrown, CircuitOpenError) and not self._is_for(thrown):
            raise thrown from error

    def _is_bad(self, source: str, value: Any) -> bool:
        return source != "static" and bool(self._readers) and failed_result(self._readers, value) is not None

    def _pushed(self, failed: _Failed) -> bool:
        if self._queue is None:
            return False
        try:
            return self._queue.try_push(QueuedCall(failed.func, failed.args, failed.kwargs, failed.error))
        except QueueClosedError:
            return False

    def _good(self, key: Hashable, value: Any) -> Outcome[Any]:
        if self._cached is not None:
            self._cached.keep(key, value)
        with self._lock:
            self._primary += 1
        return Outcome(value, "primary")

    def _count_failure(self) -> None:
        with self._lock:
            self._failures += 1

    def _served(self, outcome: Outcome[Any]) -> Outcome[Any]:
        with self._lock:
            self._fallback[outcome.source] += 1
        return outcome

    def _unserved_by(self, error: Exception | None, value: Any) -> Outcome[Any]:
        with self._lock:
            self._unserved += 1
        if error is not None:
            raise error
        return Outcome(value, "primary")

    def after_fork(self) -> None:
        """In the child: whoever counted in another thread is not there to give the lock back."""
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} from {', '.join(self._fallback)}>"


def _is_refusal(error: BaseException) -> bool:
    """By this package, of what another time or another provider would do."""
    return is_own(error) and not any(isinstance(one, (ArenaError, ConfigError)) for one in members(error))


def _shown(value: Any) -> str:
    name = getattr(value, "__name__", None)
    return f"the function {name}" if callable(value) and name else type(value).__name__


def _alternatives(given: Any) -> dict[str, tuple[Callable[..., Any], CircuitBreaker]]:
    """By name."""
    if given is None:
        return {}
    if not isinstance(given, (list, tuple)) or isinstance(given, Alternative):
        raise TypeError(f"alternatives: expected a list of functions or of Alternatives, got {_shown(given)}")
    made: dict[str, tuple[Callable[..., Any], CircuitBreaker]] = {}
    for one in given:
        call, name, breaker = one if isinstance(one, Alternative) else Alternative(one)
        decorates("alternatives: a fallback", "Fallback(…).call", call)
        if name is None:
            name = getattr(call, "__name__", None)
        if name is not None and not isinstance(name, str):
            raise TypeError(f"name: expected a str, got {type(name).__name__}")
        if not name or name == "<lambda>":
            raise ConfigError('alternatives: one has no name, which is a source; write Alternative(function, "name")')
        if name in _TAKEN:
            raise ConfigError(f"alternatives: one cannot be called {name!r}, which is another source")
        if name in made:
            raise ConfigError(f"alternatives: two are called {name!r}")
        if breaker is not None and not isinstance(breaker, CircuitBreaker):
            raise TypeError(f"breaker: expected a CircuitBreaker, got {_shown(breaker)}")
        made[name] = call, CircuitBreaker(name, scope="process") if breaker is None else breaker
    return made


def _order(order: Any, given: tuple[str, ...]) -> tuple[str, ...]:
    if not given:
        raise ConfigError(f"{', '.join(_KINDS)}: give one of them at least")
    if order is None:
        return given
    if not isinstance(order, (list, tuple)):
        raise TypeError(f"order: expected a list of names, got {type(order).__name__}")
    if sorted(map(str, order)) != sorted(given):
        named = ", ".join(map(str, order))
        raise ConfigError(f"order: must name each of what is given once ({', '.join(given)}), got {named or 'none'}")
    return tuple(order)
