"""A permit that is held until a server has closed the answer, for what Django's views return to be streamed."""

from __future__ import annotations

import copy
import sys
from typing import Any

from ._flask_body import Call


def is_streamed(result: Any) -> bool:
    """Whether it is a response of Django's that makes its body as it is sent: a stream, a file."""
    module: Any = sys.modules.get("django.http.response")
    return module is not None and isinstance(result, module.StreamingHttpResponse) and not result.closed


def judged(response: Any) -> Any:
    """The response as its call keeps it: a twin that does not lead back to the call, so that one that nobody sends
    gives its permit back as soon as it is dropped.
    """
    twin = copy.copy(response)
    twin._resource_closers = []
    return twin


def hold(call: Call, response: Any) -> Any:
    """The response itself, which is sent once at most: its body is used up by that. It is closed when it is sent, or
    when the client has gone; before that Django may have read an iterator as a whole, to send what it gave.
    """
    # What it was given: ``streaming_content`` would lead back to the response.
    body = getattr(response, "_iterator", None) or response.streaming_content
    response.streaming_content = (_AsyncBody if getattr(response, "is_async", False) else _Body)(call, body)
    return response


class _Reported:
    """A body whose end is told when the response is closed."""

    __slots__ = ("_body", "_call", "_is_out")

    def __init__(self, call: Call, body: Any) -> None:
        self._call, self._body, self._is_out = call, body, False

    def close(self) -> None:
        """Django closes the response, after what the view gave to be closed."""
        if self._is_out:
            self._call.ended()
        else:
            self._call.left()


class _Body(_Reported):
    __slots__ = ()

    def __iter__(self) -> _Body:
        return self

    def __next__(self) -> Any:
        try:
            return next(self._body)
        except StopIteration:
            self._is_out = True
            raise
        except BaseException as error:
            self._call.raised(error)
            raise


class _AsyncBody(_Reported):
    __slots__ = ()

    def __aiter__(self) -> _AsyncBody:
        return self

    async def __anext__(self) -> Any:
        try:
            return await self._body.__anext__()
        except StopAsyncIteration:
            self._is_out = True
            raise
        except BaseException as error:
            self._call.raised(error)
            raise
