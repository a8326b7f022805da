"""The end of what a request holds of a gate, as an ASGI application answers it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._gate import outcome_of
from ._outcome import Answer

if TYPE_CHECKING:
    from ._tidegate import Admission

# The answers to a WebSocket's handshake, with the status of those that say none.
_HANDSHAKES = {"websocket.accept": 101, "websocket.close": 403, "websocket.http.response.start": 403}


class Ending(Answer):
    """An answer with whose last piece an admission ends, or with its headers. A handshake is an answer of its own,
    after which a WebSocket holds nothing.
    """

    __slots__ = ("_admission", "_at_body", "_is_ended")

    def __init__(self, receive: Any, send: Any, admission: Admission, at_body: bool) -> None:
        super().__init__(receive, send)
        self._admission, self._at_body, self._is_ended = admission, at_body, False

    async def send(self, message: Any) -> None:
        """The application's ``send``."""
        kind = message["type"]
        if kind in _HANDSHAKES:
            self._status, self._is_out = message.get("status") or _HANDSHAKES[kind], True
        try:
            await super().send(message)
        except BaseException:
            self._is_gone = True
            raise
        # Hints come before the headers, and say nothing of the status.
        if not self._is_ended and (self._is_out or (self._status and not self._at_body)):
            self._is_out = True
            self.end()

    def end(self, error: BaseException | None = None) -> None:
        """The answer is out, or the application has returned or raised. The first end counts."""
        self._is_ended = True
        self._admission.finish(self.outcome if error is None or self._is_gone else outcome_of(error))
