"""Whether an error is of the connection to the program's own client, as a server raises it in what it serves while that
reads the request or sends the answer. It says nothing of what the program depends on, whose clients raise the same.
"""

from __future__ import annotations

import types
from typing import Any

# What of a server raises nothing else: it reads a request, or talks to a WebSocket.
_READERS = ("gunicorn.", "uvicorn.protocols.", "werkzeug.serving")
# What an error passes on its way from the connection: of aiohttp both its client and its server use this.
_BETWEEN = ("asyncio.", "socket", "ssl", "aiohttp.")
_WRITERS = ("aiohttp.http_writer", "aiohttp.base_protocol", "asyncio.base_events")


def is_of_own_client(error: BaseException) -> bool:
    """By the frames that it has passed, from the innermost on: the first that is no library's ends the look."""
    frames: list[types.FrameType] = []
    traceback = error.__traceback__
    while traceback is not None:
        frames.append(traceback.tb_frame)
        traceback = traceback.tb_next
    is_written = False
    for frame in reversed(frames):
        module = str(frame.f_globals.get("__name__"))
        if module.startswith(_READERS):
            return True
        if module == "aiohttp.streams":
            # Of a request, or of an answer that a client of aiohttp reads.
            stream: Any = frame.f_locals.get("self")
            protocol = getattr(stream, "_protocol", None)
            return type(protocol).__module__ == "aiohttp.web_protocol" and stream.exception() is error
        if module.startswith("aiohttp.web_"):
            return is_written and isinstance(error, (ConnectionError, TimeoutError))
        if not module.startswith(_BETWEEN):
            return False
        is_written = is_written or module in _WRITERS
        if module == "aiohttp.payload" and not is_written:
            # What is to be sent could not be read.
            return False
    return False
