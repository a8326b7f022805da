"""A permit that is held until an answer is sent, for what aiohttp's server sends after its handler has returned."""

from __future__ import annotations

import functools
import select
import sys
from typing import Any

from ._flask_body import Call

# Where a response that is held has its calls, from the innermost guard to the outermost.
_CALLS = "_tidegate_calls"


def is_sent_later(result: Any) -> bool:
    """Whether it is a response that is not under way yet and makes its body as it is sent: a file, a stream."""
    web: Any = sys.modules.get("aiohttp.web_response")
    if web is None or not isinstance(result, web.StreamResponse) or result.prepared:
        return False
    return not isinstance(result, web.Response) or not isinstance(result.body, (bytes, bytearray, type(None)))


def hold(call: Call, response: Any) -> Any:
    """The response itself, which is sent once at most, and reports its end."""
    kind: Any = type(response)
    setattr(response, _CALLS, (*getattr(response, _CALLS, ()), call))
    if not hasattr(kind, _CALLS):
        response.__class__ = _held(kind)
    return response


def _class_of(kind: Any) -> Any:
    """The class of held responses of a kind."""

    async def prepare(self: Any, request: Any) -> Any:
        try:
            return await kind.prepare(self, request)
        except BaseException as error:
            _failed(self, request, error)
            raise

    async def write_eof(self: Any, data: bytes = b"") -> None:
        request = self._req
        try:
            await kind.write_eof(self, data)
        except BaseException as error:
            _failed(self, request, error)
            raise
        for call in getattr(self, _CALLS):
            call.ended()

    own = {"prepare": prepare, "write_eof": write_eof, "__module__": kind.__module__, "__doc__": kind.__doc__}
    return type(kind.__name__, (kind,), {**own, _CALLS: ()})


_held = functools.lru_cache(128)(_class_of)


def _failed(response: Any, request: Any, error: BaseException) -> None:
    has_left = _has_left(None if request is None else request.transport)
    for call in getattr(response, _CALLS):
        if has_left:
            # Nobody is there any more to send it to.
            call.left()
        else:
            call.raised(error)


def _has_left(transport: Any) -> bool:
    """Whether the client's connection is over. asyncio alone may not know it yet: while ``sendfile`` runs it does not
    read, and what the system says then is the error of ``sendfile`` and not the transport's.
    """
    if transport is None or transport.is_closing():
        return True
    connection = transport.get_extra_info("socket")
    if connection is None or connection.fileno() < 0:
        return connection is not None
    seen = select.poll()
    # Both are always told: the peer has reset it or closed both of its ways, not only the one that it writes.
    seen.register(connection.fileno(), 0)
    return bool(seen.poll(0))
