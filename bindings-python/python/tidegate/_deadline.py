"""Until when a call must have ended: known to all that it calls, told to the servers that it asks."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from datetime import timedelta
from typing import Any

from ._classify import field
from ._time import clock_of, now_ns, span_ns, timeout_seconds
from ._tidegate import ManualClock

_GRPC = "grpc-timeout"
_MILLISECONDS = "x-request-timeout-ms"
_GRPC_TIMEOUT = re.compile(r"([0-9]{1,8})([HMSmun])", re.ASCII)
_GRPC_UNITS = {"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}
_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?", re.ASCII)
# What a header can ask for unless the application says more: a client must not have timers stand for ever.
_MOST = 3600.0
# What the way to a server takes of the time it is told.
_TOLD = 0.95

# The deadlines that are entered, the innermost first: (the earlier of this and those around it, those around it). An
# immutable chain in place of tokens, so that one Deadline can be entered by many threads and tasks at once.
_entered: ContextVar[tuple[Deadline, Any] | None] = ContextVar("tidegate.deadline", default=None)


class Deadline:
    """A moment by which work must have ended, which all that is called within it can ask for.

        with Deadline.after(2.0):
            retry.call(ask)                       # no wait of a retry goes past it

        left = Deadline.current().remaining()     # for a client's own timeout

        with Deadline.from_headers(request.headers) or contextlib.nullcontext():
            ...                                   # as long as the caller waits

    It ends nothing by itself: a ``Timeout`` does. Of two, the earlier holds. It travels by context variables: into
    tasks that are started within it, and into threads that are started with ``contextvars.copy_context().run``.
    """

    __slots__ = ("__weakref__", "_clock", "_due_ns")

    _clock: ManualClock | None
    # math.inf: no end.
    _due_ns: float

    def __init__(self) -> None:
        raise TypeError("a Deadline is made by Deadline.after(seconds) or Deadline.from_headers(headers)")

    @classmethod
    def after(cls, seconds: float | timedelta, *, clock: ManualClock | None = None) -> Deadline:
        """So many seconds from now; ``math.inf`` is none."""
        if seconds is None:
            raise TypeError("seconds: expected seconds as a float or a timedelta, got NoneType")
        return cls._after(timeout_seconds(seconds, "seconds"), clock_of(clock))

    @classmethod
    def _after(cls, seconds: float | None, clock: ManualClock | None) -> Deadline:
        made = cls.__new__(cls)
        made._clock = clock
        made._due_ns = now_ns(clock) + span_ns(seconds)
        return made

    @classmethod
    def from_headers(
        cls,
        headers: Mapping[str, str] | Iterable[tuple[bytes, bytes]],
        names: str | Iterable[str] = (_GRPC, _MILLISECONDS),
        *,
        max: float | timedelta = _MOST,
        clock: ManualClock | None = None,
    ) -> Deadline | None:
        """How long a request says that its caller waits, or None: the shortest that is told, at most ``max`` seconds,
        by default an hour.

        ``headers`` is a framework's mapping, a dict, or the pairs of an ASGI scope; ``grpc-timeout`` is read in gRPC's
        format, all other names in milliseconds. Nonsense counts for nothing: it is the client's.
        """
        known = [names] if isinstance(names, str) else list(names)
        for name in known:
            check_name("names", name)
        most = timeout_seconds(max, "max")
        clock = clock_of(clock)
        if not callable(getattr(headers, "get", None)):
            headers = _joined(headers)
        told = [_seconds(name.lower(), (field(headers, name.lower()) or "").strip()) for name in known]
        waits = [seconds for seconds in told if seconds is not None]
        if not waits:
            return None
        return cls._after(min(*waits, math.inf if most is None else most), clock)

    @classmethod
    def current(cls) -> Deadline | None:
        """The earliest that is entered here."""
        inner = _entered.get()
        return None if inner is None else inner[0]

    def remaining(self) -> float:
        """The seconds that are left: 0 when it has passed, ``math.inf`` for none."""
        return max(0.0, (self._due_ns - now_ns(self._clock)) / 1e9)

    @property
    def expired(self) -> bool:
        """Whether it has passed."""
        return self.remaining() == 0

    def headers(self, name: str = _MILLISECONDS) -> dict[str, str]:
        """What a client sends on: what is left, less 5 % for the way back. Empty where there is no end."""
        check_name("name", name)
        left = self.remaining() * _TOLD
        if math.isinf(left):
            return {}
        ms = int(left * 1e3)
        if name.lower() != _GRPC:
            return {name: str(ms)}
        return {name: f"{ms}m" if ms < 10**8 else f"{min(ms // 1000, 10**8 - 1)}S"}

    def __enter__(self) -> Deadline:
        around = _entered.get()
        earlier = self if around is None or self.remaining() <= around[0].remaining() else around[0]
        _entered.set((earlier, around))
        return self

    def __exit__(self, *exc: object) -> None:
        inner = _entered.get()
        if inner is not None:
            _entered.set(inner[1])

    def __repr__(self) -> str:
        return f"<Deadline in {self.remaining():.6g} s>"


def forget() -> None:
    """No deadline is entered in this context any more."""
    _entered.set(None)


def check_name(argument: str, name: Any) -> None:
    """What can be the name of a header."""
    if not isinstance(name, str):
        raise TypeError(f"{argument}: expected the name of a header, got {type(name).__name__}")
    if not name:
        from .errors import ConfigError

        raise ConfigError(f"{argument}: the name of a header cannot be empty")


def _joined(headers: Any) -> dict[str, str]:
    """The pairs of an ASGI scope as a mapping; of several lines of one name the first."""
    found: dict[str, str] = {}
    try:
        for name, value in headers:
            found.setdefault(_text(name).lower(), _text(value))
    except (TypeError, ValueError, AttributeError):
        raise TypeError(
            f"headers: expected a mapping, or pairs as in an ASGI scope, got {type(headers).__name__}"
        ) from None
    return found


def _text(value: Any) -> str:
    return value if isinstance(value, str) else bytes(value).decode("latin-1")


def _seconds(name: str, text: str) -> float | None:
    """The seconds that a header says; None: nonsense."""
    if name == _GRPC:
        found = _GRPC_TIMEOUT.fullmatch(text)
        return None if found is None else int(found[1]) * _GRPC_UNITS[found[2]]
    # Digits that no float holds are infinity, and so no end.
    return float(text) / 1e3 if _NUMBER.fullmatch(text) else None
