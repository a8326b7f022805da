"""Signals of a LoadShedder, and the watch over an event loop."""

from __future__ import annotations

import inspect
import math
import weakref
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from ._functions import function
from ._log import say
from ._routes import ByRoute
from .errors import ConfigError, OverloadedError

if TYPE_CHECKING:
    import asyncio

    from ._tidegate import LoadShedder, Shed, _Priority, _SignalKind

# What adapters take: a priority, one for each route, or a function of the request's scope that gives one, sync or
# async.
Priority: TypeAlias = (
    Literal["critical", "high", "normal", "sheddable"]
    | Mapping[str, "_Priority"]
    | Callable[[Any], "_Priority | Awaitable[_Priority]"]
)
UserOf: TypeAlias = Callable[[Any], str | bytes | None | Awaitable[str | bytes | None]]

_PRIORITIES = ("critical", "high", "normal", "sheddable")

__all__ = ["Signal", "Watch"]

# What the core takes: kind, name, start, full, and what reads it.
Given = tuple[str, "str | None", "float | None", "float | None", "Callable[[], float] | None"]

_DEFAULT = ("cpu", "memory", "psi_cpu", "psi_memory", "loop_lag")


class Signal:
    """A signal of a LoadShedder: ``(value - start) / (full - start)``, from 0 to 1, is its pressure.

    Args:
        kind: ``"queue_fill"``, ``"queue_delay"`` (seconds), ``"in_flight"``, ``"cpu"``, ``"memory"``, ``"psi_cpu"``,
            ``"psi_memory"``, ``"loop_lag"`` (seconds), or ``"gauge"``, a number of your own.
        read: a BoundedQueue (with a discipline, where its delay is asked for), a ConcurrencyLimiter, or a function
            that gives the value, once an interval, in whatever thread has the turn. One that raises, or gives no
            number, has no value for that time: logged once, and ``explain()`` says so. Left out, the value is told
            with ``LoadShedder.tell``.
        start, full: where its pressure begins and is full; left out, what is usual.
        name: left out, that of its kind.
    """

    __slots__ = ("full", "kind", "name", "read", "start")

    def __init__(
        self,
        kind: _SignalKind,
        read: Any = None,
        *,
        start: float | None = None,
        full: float | None = None,
        name: str | None = None,
    ) -> None:
        if not isinstance(kind, str):
            raise TypeError(f"kind: expected a str such as \"queue_fill\", got {type(kind).__name__}")
        for argument, value in (("start", start), ("full", full)):
            if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float))):
                raise TypeError(f"{argument}: expected a number, got {type(value).__name__}")
        if name is not None and not isinstance(name, str):
            raise TypeError(f"name: expected a str, got {type(name).__name__}")
        self.kind, self.read, self.start, self.full, self.name = kind, read, start, full, name

    def __repr__(self) -> str:
        return f"Signal({self.kind!r}, name={self.name!r}, start={self.start}, full={self.full})"

    def _given(self) -> Given:
        return self.kind, self.name, self.start, self.full, _reader(self.kind, self.name or self.kind, self.read)


def signals_of(signals: Any) -> list[Given]:
    """As the core takes them."""
    if signals is None:
        signals = _DEFAULT
    if isinstance(signals, (str, bytes)) or not isinstance(signals, Iterable):
        raise TypeError(f"signals: expected a list of signals, got {type(signals).__name__}")
    return [_one(signal)._given() for signal in signals]


def _one(signal: Any) -> Signal:
    from ._tidegate import BoundedQueue, ConcurrencyLimiter

    if isinstance(signal, Signal):
        return signal
    if isinstance(signal, str):
        return Signal(signal)  # type: ignore[arg-type]
    if isinstance(signal, BoundedQueue):
        return Signal("queue_fill", signal)
    if isinstance(signal, ConcurrencyLimiter):
        return Signal("in_flight", signal)
    raise TypeError(
        "signals: expected texts, Signals, BoundedQueues and ConcurrencyLimiters, got one that is "
        f"{type(signal).__name__}"
    )


def _reader(kind: str, name: str, read: Any) -> Callable[[], float] | None:
    from ._tidegate import BoundedQueue, ConcurrencyLimiter

    if read is None:
        return None
    if isinstance(read, BoundedQueue):
        if kind == "queue_delay":
            return lambda: math.nan if read.least_delay is None else read.least_delay
        return lambda: read.depth / read.capacity
    if isinstance(read, ConcurrencyLimiter):
        return lambda: read.in_use / read.limit
    if isinstance(read, type) or not callable(read):
        raise TypeError(f"read: expected a function, a BoundedQueue or a ConcurrencyLimiter, got {type(read).__name__}")
    if inspect.iscoroutinefunction(read):
        raise TypeError(f"read: {name} is an async function, and nobody waits for it; tell() what it gives instead")

    def guarded() -> float:
        try:
            given = read()
            if isinstance(given, (str, bytes)):
                raise TypeError(f"expected a number, got {type(given).__name__}")
            value = float(given)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            # A call that only asks whether it may be served does not fail for it.
            say(f"signal {name} {type(error).__name__}", "signal %r is off: its function raised %r", name, error)
            return math.nan
        if math.isnan(value):
            say(f"signal {name} nan", "signal %r is off: its function gave no number", name)
        return value

    return guarded


def overloaded(name: str | None, shed: Shed) -> OverloadedError:
    """The error of a refused call."""
    who = "load shedder" if name is None else f"load shedder {name!r}"
    why = "" if shed.signal is None else f" ({shed.signal} at {shed.pressure:.0%} of its range)"
    return OverloadedError(f"{who} refused a call{why}", shed.retry_after)


def pressure_reader(source: Any) -> Callable[[], Any]:
    """What reads the pressure of a source.

    A LoadShedder's moves only as somebody samples, and once its calls stop, as while its consumer is paused, nobody
    else does.
    """
    from ._tidegate import LoadShedder

    if not isinstance(source, LoadShedder):
        return lambda: source.pressure

    def read() -> float:
        source.sample()
        return source.pressure

    return read


class Watch:
    """Ticks on an event loop until ``cancel()``, or until loop or shedder is gone."""

    __slots__ = ("__weakref__", "_due", "_handle", "_loop", "_period", "_shedder")

    def __init__(self, loop: asyncio.AbstractEventLoop, shedder: LoadShedder, period: float) -> None:
        self._loop, self._shedder, self._period = weakref.ref(loop), weakref.ref(shedder), period
        self._due = loop.time() + period
        self._handle: asyncio.TimerHandle | None = loop.call_at(self._due, self._tick)

    def _tick(self) -> None:
        loop, shedder = self._loop(), self._shedder()
        if loop is None or shedder is None or self._handle is None:
            return
        now = loop.time()
        shedder._tick(now - self._due, self._period)
        self._due = now + self._period
        self._handle = loop.call_at(self._due, self._tick)

    def cancel(self) -> None:
        """Ends it."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    @property
    def is_active(self) -> bool:
        """Whether it still ticks."""
        return self._handle is not None


# By loop, then by shedder. Each loop is one thread's, so nobody else writes its part.
_watches: weakref.WeakKeyDictionary[Any, weakref.WeakKeyDictionary[Any, Watch]] = weakref.WeakKeyDictionary()


def watch(shedder: LoadShedder, period: float) -> Watch:
    """The watch of the running loop; made at the first call."""
    if not 0.001 <= period <= 10:
        raise ConfigError(f"period: {period!r} s is not within 0.001 s to 10 s")
    # Not at the start of the program: threads need no loop.
    import asyncio

    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        raise RuntimeError("shedder.watch: no event loop runs here; call it in a coroutine of the loop") from None
    own = _watches.get(loop)
    if own is None:
        own = _watches[loop] = weakref.WeakKeyDictionary()
    known = own.get(shedder)
    if known is None or not known.is_active:
        known = own[shedder] = Watch(loop, shedder, period)
    return known


def priority_option(priority: Any) -> Any:
    """A priority as an adapter takes it; ConfigError or TypeError for all else."""
    if isinstance(priority, str):
        if priority not in _PRIORITIES:
            raise ConfigError(f"priority: {priority!r} is not {', '.join(map(repr, _PRIORITIES[:3]))} or 'sheddable'")
        return priority
    if isinstance(priority, Mapping):
        for route, one in priority.items():
            if not isinstance(one, str):
                raise TypeError(f"priority[{route!r}]: expected a str such as \"critical\", got {type(one).__name__}")
            priority_option(one)
        return ByRoute("priority", priority)
    return function("priority", priority)


async def priority_of(priority: Any, scope: Any, root: str = "") -> Any:
    """That of one request."""
    if isinstance(priority, str):
        return priority
    if isinstance(priority, ByRoute):
        return priority.of(scope, "normal", root)
    given = priority(scope)
    return await given if inspect.isawaitable(given) else given


async def level_of(shedder: LoadShedder, user: Any, client: Any, scope: Any) -> int:
    """The level of whose request it is; of nobody's that of the client's address."""
    given = None if user is None else user(scope)
    if inspect.isawaitable(given):
        given = await given
    return shedder.level_of(given or client(scope) or "")
