"""What the end of a call says of a concurrency limit that learns: the call was done, was dropped, or says nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from ._classify import answer_of, timed_out
from ._deadline import Deadline
from .errors import QueueClosedError, QueueEmptyError
from .errors import _Refusal as Refused

if TYPE_CHECKING:
    from ._tidegate import ConcurrencyPermit

# Later, and too late: what a server answers that had no room, or no time.
_DROPPED = (503, 504)

def report_error(permit: ConcurrencyPermit, error: BaseException) -> None:
    """Reports a call that raised: a refusal, a timeout and the answer of one are drops, all else says nothing."""
    if is_dropped(error):
        permit.dropped()
    else:
        permit.ignore()


def is_dropped(error: BaseException) -> bool:
    """A refusal, a timeout, or the answer of one."""
    if isinstance(error, (Refused, QueueClosedError, QueueEmptyError)):
        return True
    if is_cancelled(error):
        # A timeout around the permit cancels what is in it.
        deadline = Deadline.current()
        return deadline is not None and deadline.expired
    answer = answer_of(error)
    return timed_out(error) if answer is None else answer[0] in _DROPPED


def is_cancelled(error: BaseException) -> bool:
    """Of a task."""
    # asyncio's, by its name: it is not loaded with the package.
    return not isinstance(error, Exception) and type(error).__name__ == "CancelledError"


class Answer:
    """The answer of an ASGI application, seen as it goes out."""

    __slots__ = ("_is_gone", "_is_out", "_receive", "_send", "_status")

    def __init__(self, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]) -> None:
        self._receive, self._send = receive, send
        self._status = 0
        self._is_out = self._is_gone = False

    async def receive(self) -> Any:
        """The application's ``receive``."""
        message = await self._receive()
        # Servers also say this when the answer is out.
        if message["type"] == "http.disconnect" and not self._is_out:
            self._is_gone = True
        return message

    async def send(self, message: Any) -> None:
        """The application's ``send``."""
        kind = message["type"]
        if kind == "http.response.start":
            self._status = message["status"]
        elif kind in ("http.response.body", "http.response.pathsend") and not message.get("more_body"):
            # Before it goes: where it cannot, this raises.
            self._is_out = True
        await self._send(message)

    def report(self, permit: ConcurrencyPermit) -> None:
        """Reports an answer of an application that has returned.

        A client that has gone says nothing, as far as the application saw it. Other errors of the server, and a limit
        on this one client (429), say nothing of how long a call takes.
        """
        status = self._status
        if self._is_gone or not self._is_out:
            permit.ignore()
        elif status in _DROPPED:
            permit.dropped()
        elif status >= 500 or status == 429:
            permit.ignore()
        else:
            permit.success()
