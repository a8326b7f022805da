"""Who hears of which breaker's events. They are read from its ring, off the decision path, by one timer for all
breakers of an asyncio loop.
"""

from __future__ import annotations

import contextlib
import contextvars
import functools
import logging
import weakref
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Protocol

from ._log import log
from .errors import ConfigError

if TYPE_CHECKING:
    import asyncio

    from ._tidegate import CircuitBreaker, Event

# How often rings are read while somebody listens: an event is heard at most so much later, in a loop that is not busy.
EVERY = 0.05
# Of a state in which calls are refused; what is no change of state is logged for who asks for more.
_WARNINGS = ("opened", "forced_open")
_CHANGES = ("closed", "half_opened", "disabled", "metrics_only")


class _Watcher(Protocol):
    def poll(self) -> bool:
        """Looks at the ring; false when it need not look again."""


class _Poller:
    """The watchers of one loop, which alone runs this, and a timer that stands only while there are any."""

    __slots__ = ("__weakref__", "_context", "_is_due", "_loop", "_watchers")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        # Weakly: pollers are found by their loops, which must not be kept by that. A timer is the loop's.
        self._loop = weakref.ref(loop)
        # In no request's context: a timer made in one would keep it.
        self._context = contextvars.Context()
        self._watchers: dict[_Watcher, None] = {}
        self._is_due = False

    def add(self, watcher: _Watcher) -> None:
        self._watchers[watcher] = None
        self._rest()

    def _rest(self) -> None:
        loop = self._loop()
        if self._watchers and not self._is_due and loop is not None and not loop.is_closed():
            loop.call_later(EVERY, self._poll, context=self._context)
            self._is_due = True

    def _poll(self) -> None:
        self._is_due = False
        try:
            for watcher in list(self._watchers):
                if not watcher.poll():
                    del self._watchers[watcher]
        finally:
            # Ctrl-C in a listener ends the loop's run, and perhaps not the loop.
            self._rest()


_pollers: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Poller] = weakref.WeakKeyDictionary()


def _poller(loop: asyncio.AbstractEventLoop) -> _Poller:
    return _pollers.get(loop) or _pollers.setdefault(loop, _Poller(loop))


class _Seen:
    """Where somebody is in the ring of a breaker, which this does not keep."""

    __slots__ = ("breaker", "next")

    def __init__(self, breaker: CircuitBreaker, since: int | None = None) -> None:
        self.breaker = weakref.ref(breaker)
        if since is None:
            before = breaker.events()
            since = before[-1].seq + 1 if before else 0
        else:
            breaker.events(since)
        self.next = since

    def more(self) -> list[Event] | None:
        """What came since, which is seen then; None when the breaker is gone."""
        breaker = self.breaker()
        if breaker is None:
            return None
        events = breaker.events(self.next)
        if events:
            self.next = events[-1].seq + 1
        return events


class EventStream:
    """``CircuitBreaker.events_async``: an async iterator, which ends with the breaker or when it is closed."""

    __slots__ = ("__weakref__", "_found", "_is_closed", "_seen", "_waiting")

    def __init__(self, breaker: CircuitBreaker, since: int | None) -> None:
        self._seen = _Seen(breaker, since)
        self._found: list[Event] = []
        self._waiting: list[asyncio.Future[None]] = []
        self._is_closed = False

    def __aiter__(self) -> EventStream:
        return self

    async def __anext__(self) -> Event:
        import asyncio

        while not self._is_closed and not self._found:
            loop = asyncio.get_running_loop()
            if self._look():
                break
            future = loop.create_future()
            self._waiting.append(future)
            _poller(loop).add(self)
            try:
                await future
            finally:
                self._waiting.remove(future)
        if not self._found:
            raise StopAsyncIteration
        return self._found.pop(0)

    async def aclose(self) -> None:
        """Ends the iteration, also for who waits for the next event."""
        self._is_closed = True
        self._found.clear()
        self._wake()

    def poll(self) -> bool:
        """For the timer: whether somebody still waits."""
        if not all(future.done() for future in self._waiting) and self._look():
            self._wake()
        return not all(future.done() for future in self._waiting)

    def _look(self) -> bool:
        """Whether there is something to tell: events, or that no more will come."""
        if not self._found:
            more = self._seen.more()
            if more is None:
                self._is_closed = True
            else:
                self._found = more
        return self._is_closed or bool(self._found)

    def _wake(self) -> None:
        for future in self._waiting:
            if not future.done():
                future.set_result(None)


class Subscription:
    """``CircuitBreaker.on_event``: until it is closed, or its breaker or its loop is gone."""

    # Its breaker keeps it, and it does not keep its breaker: a listener that names the breaker goes with it.
    __slots__ = ("__weakref__", "_calls", "_context", "_is_closed", "_kinds", "_loop", "_seen", "_tasks")

    def __init__(
        self,
        breaker: CircuitBreaker,
        calls: tuple[Callable[[Event], object], ...],
        kinds: frozenset[str],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        # What was before is not told.
        self._seen = _Seen(breaker)
        self._calls, self._kinds = calls, kinds
        self._loop = weakref.ref(loop)
        # Whatever else happens in that place reaches its listener: a request's log context, for one.
        self._context = contextvars.copy_context()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._is_closed = False

    def close(self) -> None:
        """No event is told any more. From any thread."""
        self._is_closed = True
        breaker = self._seen.breaker()
        if breaker is not None:
            with contextlib.suppress(ValueError):
                breaker._listeners.remove(self)

    def __enter__(self) -> Subscription:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @property
    def is_heard(self) -> bool:
        """Whether anybody may still be told."""
        loop = self._loop()
        return not self._is_closed and loop is not None and not loop.is_closed()

    def poll(self) -> bool:
        for event in self._seen.more() or ():
            if event.kind in self._kinds:
                for call in self._calls:
                    if not self._is_closed:
                        self._tell(call, event)
        return not self._is_closed and self._seen.breaker() is not None

    def _tell(self, call: Callable[[Event], object], event: Event) -> None:
        try:
            answer = self._context.run(call, event)
            loop = self._loop()
            if hasattr(answer, "__await__") and loop is not None:
                task = self._context.run(loop.create_task, _done(answer))
                self._tasks.add(task)
                task.add_done_callback(functools.partial(self._ended, event))
        except Exception as error:
            _complain(event, error)

    def _ended(self, event: Event, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _complain(event, error)


async def _done(answer: Any) -> None:
    await answer


def _complain(event: Event, error: BaseException) -> None:
    """What a listener throws changes nothing but the log."""
    log.error("a listener of %r failed", event.kind, exc_info=error)


class _Weakly:
    """A subscription for its loop's timer."""

    __slots__ = ("_subscription",)

    def __init__(self, subscription: Subscription) -> None:
        self._subscription = weakref.ref(subscription)

    def poll(self) -> bool:
        subscription = self._subscription()
        return subscription is not None and subscription.poll()


def events_async(breaker: CircuitBreaker, since: int | None) -> EventStream:
    """CircuitBreaker.events_async."""
    return EventStream(breaker, since)


def on_event(
    breaker: CircuitBreaker,
    callback: Callable[[Event], object] | None,
    kinds: str | Iterable[str] | None,
    loop: asyncio.AbstractEventLoop | None,
    logger: logging.Logger | logging.LoggerAdapter[Any] | None,
    known: tuple[str, ...],
) -> Subscription:
    """CircuitBreaker.on_event."""
    if callback is not None and not callable(callback):
        raise TypeError(f"callback: expected a function of an event, got {type(callback).__name__}")
    if logger is not None and not isinstance(logger, (logging.Logger, logging.LoggerAdapter)):
        raise TypeError(f"logger: expected a logging.Logger, got {type(logger).__name__}")
    calls = () if callback is None else (callback,)
    if logger is not None:
        calls = (functools.partial(_say, logger, breaker.name), *calls)
    if not calls:
        raise TypeError("on_event() needs a callback or logger=")
    wanted = _wanted(kinds, known)
    running, loop = _loops(loop)
    for subscription in list(breaker._listeners):
        if not subscription.is_heard:
            subscription.close()
    made = Subscription(breaker, calls, wanted, loop)
    watch = functools.partial(_poller(loop).add, _Weakly(made))
    if loop is running:
        watch()
    else:
        loop.call_soon_threadsafe(watch, context=contextvars.Context())
    breaker._listeners.append(made)
    return made


def _wanted(kinds: str | Iterable[str] | None, known: tuple[str, ...]) -> frozenset[str]:
    if kinds is None:
        return frozenset(known)
    try:
        wanted = [kinds] if isinstance(kinds, str) else list(kinds)
    except TypeError:
        raise TypeError(f"kinds: expected a kind of event, or several, got {type(kinds).__name__}") from None
    for kind in wanted:
        if kind not in known:
            raise ConfigError(f"kinds: expected some of {', '.join(known)}; got {kind!r}")
    if not wanted:
        raise ConfigError("kinds: expected at least one; leave it out for all")
    return frozenset(wanted)


def _loops(
    given: asyncio.AbstractEventLoop | None,
) -> tuple[asyncio.AbstractEventLoop | None, asyncio.AbstractEventLoop]:
    """The loop that runs here, and the one to use."""
    import asyncio

    try:
        running = asyncio.get_running_loop()
    except RuntimeError:
        running = None
    loop = running if given is None else given
    if loop is None:
        raise RuntimeError("on_event: no event loop runs here; call it in a coroutine, or name the loop with loop=")
    if not isinstance(loop, asyncio.AbstractEventLoop):
        raise TypeError(f"loop: expected an event loop of asyncio, got {type(loop).__name__}")
    if loop.is_closed():
        raise RuntimeError("loop: it is closed, so that nobody would be told")
    return running, loop


def _say(logger: logging.Logger | logging.LoggerAdapter[Any], name: str, event: Event) -> None:
    kind, trip = event.kind, event.trip
    level = logging.WARNING if kind in _WARNINGS else logging.INFO if kind in _CHANGES else logging.DEBUG
    if trip is None:
        logger.log(level, "circuit %r: %s", name, kind)
    else:
        text = "circuit %r: %s (of %d calls %d failed, %d slow)"
        logger.log(level, text, name, kind, trip.calls, trip.failed, trip.slow)
