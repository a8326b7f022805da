"""What the end of a call says of a concurrency limit that learns: the call was done, was dropped, or says nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from ._classify import answer_of, timed_out
from ._deadline import Deadline
from ._tidegate import outcome_of_status
from .errors import QueueClosedError, QueueEmptyError
from .errors import _Refusal as Refused

if TYPE_CHECKING:
    from ._tidegate import ConcurrencyPermit, _GateOutcome

# What an answer ends with, unless there is more of it.
ENDS = frozenset(
    ("http.response.body", "http.response.pathsend", "http.response.zerocopysend", "websocket.http.response.body")
)


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
    return timed_out(error) if answer is None else outcome_of_status(answer[0]) == "dropped"


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
        elif kind in ENDS and not message.get("more_body"):
            # Before it goes: where it cannot, this raises.
            self._is_out = True
        await self._send(message)

    @property
    def outcome(self) -> _GateOutcome:
        """What the answer of an application that has returned says of the call: of a client that has gone, as far as
        the application saw it, nothing.
        """
        return outcome_of_status(self._status) if self._is_out and not self._is_gone else "cancelled"

    def report(self, permit: ConcurrencyPermit) -> None:
        """Reports the answer. Errors of the server that are no drops, and a limit on this one client (429), say nothing
        of how long a call takes.
        """
        outcome = self.outcome
        if outcome == "success":
            permit.success()
        elif outcome == "dropped":
            permit.dropped()
        else:
            permit.ignore()
