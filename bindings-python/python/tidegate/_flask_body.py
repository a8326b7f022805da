"""A permit that is held until a WSGI server has closed the body, for what Flask's views return to be streamed."""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterator
from typing import Any, Protocol


class Call(Protocol):
    """A guarded call whose answer is still to be sent. The first report counts."""

    def ended(self) -> None:
        """All of it is sent."""

    def raised(self, error: BaseException) -> None:
        """The body did not come to its end."""

    def left(self) -> None:
        """Nobody is there any more to send it to."""


def is_streamed(result: Any, guarded: Any) -> bool:
    """Whether it is a response of Werkzeug's that makes its body as it is sent, or what the view ``guarded`` returns to
    become one: an iterator, or a tuple that begins with either.
    """
    if _is_response(result):
        return not result.is_sequence
    body = result[0] if result.__class__ is tuple and result else result
    is_body = not body.is_sequence if _is_response(body) else isinstance(body, Iterator)
    return is_body and _is_view(guarded)


def hold(call: Call, result: Any) -> Any:
    """The same for the framework, and its end reports: a twin, for a view may give one object again and again."""
    if result.__class__ is tuple:
        return (hold(call, result[0]), *result[1:])
    if not _is_response(result):
        return _Body(call, result)
    twin = copy.copy(result)
    # Of a file that is passed through as it is, the server closes this, and not the response.
    twin.response = _Body(call, result.response)
    return twin


def _is_response(value: Any) -> bool:
    kind: Any = getattr(sys.modules.get("werkzeug.wrappers"), "Response", None)
    return kind is not None and isinstance(value, kind)


def _is_view(guarded: Any) -> bool:
    """Whether this is the view of the request that is under way, or stands in it: another function's iterator is its
    caller's.
    """
    flask: Any = sys.modules.get("flask")
    if flask is None or not flask.has_request_context():
        return False
    request = flask.request
    view: Any = flask.current_app.view_functions.get(request.endpoint)
    of_class = getattr(view, "view_class", None)
    methods = (getattr(of_class, name, None) for name in (request.method.lower(), "get", "dispatch_request"))
    return any(map(lambda one: _stands_in(guarded, one), (view, *methods)))


def _stands_in(guarded: Any, view: Any) -> bool:
    """Whether it is the view, or decorated by it."""
    for _ in range(100):
        if view is guarded:
            return True
        view = getattr(view, "__wrapped__", None)
    return False


class _Body:
    """A body whose end is the end of the call."""

    __slots__ = ("_body", "_call", "_chunks")

    def __init__(self, call: Call, body: Any) -> None:
        self._call, self._body = call, body
        self._chunks: Any = None

    def __iter__(self) -> _Body:
        return self

    def __next__(self) -> Any:
        try:
            if self._chunks is None:
                self._chunks = iter(self._body)
            return next(self._chunks)
        except StopIteration:
            self._call.ended()
            raise
        except BaseException as error:
            self._call.raised(error)
            raise

    def close(self) -> None:
        """The server is done with it: by WSGI always called, after the end as well as before."""
        try:
            close = getattr(self._body, "close", None)
            if close is not None:
                close()
        finally:
            self._call.left()
