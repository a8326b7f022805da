"""``/readyz``: whether a load balancer should send requests here. Needs no framework."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from ._answer import Receive, Scope, Send, tell
from ._functions import function
from ._log import log
from ._shed import pressure_reader
from ._time import clock_of, now_ns, span_ns, timeout_seconds
from ._tidegate import ManualClock
from .errors import ConfigError

__all__ = ["Readiness"]

# Each process waits up to this part of `after` longer, drawn once.
_SPREAD = 0.5


class Readiness:
    """Not ready once the pressure has been 1 for some seconds: an ASGI application, and a property for a route.

        ready = Readiness(shedder)                          # or a function: lambda: queue.depth / queue.capacity

        app.mount("/readyz", ready)                         # 200 or 503
        ready.stop()                                        # at the end of the service: 503 from now on

    A service that is merely busy stays: it refuses what is too much for it, and whoever takes it out of the balance
    sends its load to the others, which follow. So it takes ``after`` seconds of full pressure, for each process up to
    half of that longer, so that a fleet does not go at once. It is ready again as soon as the pressure falls.

    Args:
        source: an object with a ``pressure``, or a function without arguments; 0 to 1.
        after: seconds of pressure 1, as those see it who ask: between two questions that find 1 it counts as 1.
        clock: a ManualClock for tests.

    A source that raises or gives no number says nothing: it is logged, and the service counts as ready.
    """

    __slots__ = ("_after_ns", "_clock", "_is_stopped", "_look", "_since", "after")

    def __init__(self, source: Any, after: float | timedelta = 5.0, *, clock: ManualClock | None = None) -> None:
        if isinstance(source, type) or not (hasattr(source, "pressure") or callable(source)):
            raise TypeError(f"source: expected an object with a pressure, or a function, got {type(source).__name__}")
        seconds = timeout_seconds(after, "after")
        if seconds is None:
            raise ConfigError("after: must be finite")
        self.after = seconds
        self._look: Callable[[], Any]
        if hasattr(source, "pressure"):
            self._look = pressure_reader(source)
        else:
            self._look = function("source", source, "nothing", 0)
        self._clock = clock_of(clock)
        self._after_ns = span_ns(seconds * (1 + _SPREAD * int.from_bytes(os.urandom(4), "big") / 2**32))
        self._since: int | None = None
        self._is_stopped = False

    @property
    def is_ready(self) -> bool:
        """How it stands now. Whoever reads it looks at the source."""
        if self._is_stopped:
            return False
        if not self._is_full():
            self._since = None
            return True
        now = now_ns(self._clock)
        # Of two that ask at once, either is right.
        since = self._since
        if since is None or now < since:
            self._since = since = now
        return now - since < self._after_ns

    def _is_full(self) -> bool:
        try:
            pressure = self._look()
            if isinstance(pressure, bool) or not isinstance(pressure, (int, float)) or math.isnan(pressure):
                raise TypeError(f"source: expected a pressure from 0 to 1, got {pressure!r}")
        except Exception:
            log.exception("the source of a Readiness failed; the service counts as ready")
            return False
        return pressure >= 1

    def stop(self) -> None:
        """The service ends: never ready again."""
        self._is_stopped = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers any request: 200, or 503."""
        is_ready = self.is_ready
        body = json.dumps({"ready": is_ready}).encode()
        await tell(scope, receive, send, 200 if is_ready else 503, "application/json", body)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(after={self.after:g}, ready={self.is_ready})"
