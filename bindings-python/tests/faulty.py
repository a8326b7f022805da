"""A server over real sockets that fails as it is told, and remembers what it was asked."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import socket
import struct
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from conftest import Thread, wait_until

_REASONS = {200: "OK", 204: "No Content", 302: "Found", 404: "Not Found", 429: "Too Many", 500: "Broken", 503: "Away"}


class Asked(NamedTuple):
    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    # Seconds of the server's loop.
    at: float


class Faulty:
    """Answers each request by the next entry of ``script``, or, when that is empty, by ``mode``.

    An entry is a status, or "500 retry-after: 7", "hang", "slow 0.2", "reset", "reset body" (half of a body, then a
    reset), "hang body" (half of one, then silence until ``go_on``), "loop" (a redirect to itself), "garbage" (no HTTP),
    "gzip" (a compressed body), "bad gzip" (one that is not, though it says so).
    """

    def __init__(self) -> None:
        self.script: deque[str | int] = deque()
        self.mode: str | int = 200
        self.asked: list[Asked] = []
        self.url = ""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._more: asyncio.Event | None = None

    def go_on(self) -> None:
        """Sends the rest of the bodies that hang."""
        assert self._loop is not None and self._more is not None
        self._loop.call_soon_threadsafe(self._more.set)

    async def _serve(self, listener: socket.socket, stop: list[asyncio.Future[None]]) -> None:
        self._loop = asyncio.get_running_loop()
        self._more = asyncio.Event()
        tasks: set[asyncio.Task[None]] = set()

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            tasks.add(task)
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while await self._answer(reader, writer):
                    pass
            tasks.discard(task)
            writer.transport.abort()

        server = await asyncio.start_server(connected, sock=listener)
        stop.append(self._loop.create_future())
        await stop[0]
        # Not `server.close()` yet: what is being accepted then is left open. That has a task of the loop's, and then
        # one of ours, which closes it.
        self._loop.remove_reader(listener.fileno())
        while asyncio.all_tasks() - {asyncio.current_task()}:
            for task in [*tasks]:
                task.cancel()
            await asyncio.sleep(0)
        server.close()
        # An aborted transport closes its socket in the step after.
        await asyncio.sleep(0)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *fields = head.strip().split("\r\n")
        method, path, _ = first.split(" ")
        headers = {name.lower(): value for name, _, value in (field.partition(": ") for field in fields)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        while headers.get("transfer-encoding") == "chunked":
            size = int(await reader.readline(), 16)
            body += (await reader.readexactly(size + 2))[:-2]
            if not size:
                break
        assert self._loop is not None and self._more is not None
        self.asked.append(Asked(method, path, headers, body, self._loop.time()))
        act = str(self.script.popleft() if self.script else self.mode)
        if act == "hang":
            await asyncio.Event().wait()
        if act == "reset":
            return _reset(writer)
        if act == "garbage":
            writer.write(b"\x00no HTTP\r\n\r\n")
            await writer.drain()
            return False
        if act.startswith("slow"):
            await asyncio.sleep(float(act.split()[1]))
            act = "200"
        if act in ("reset body", "hang body"):
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf-")
            await writer.drain()
            if act == "reset body":
                # What was written has to leave before: a reset drops it.
                await asyncio.sleep(0.05)
                return _reset(writer)
            await self._more.wait()
            writer.write(b"whole")
            return True
        compressed = {"gzip": gzip.compress(b"done"), "bad gzip": b"no gzip"}.get(act)
        if compressed is not None:
            act = "200|content-encoding: gzip"
        fields = ["location: /loop"] if act == "loop" else [field.strip() for field in act.split("|")[1:]]
        status = 302 if act == "loop" else int(act.split("|")[0])
        answer = b"" if status == 204 else compressed or b"done"
        told = "".join(f"{field}\r\n" for field in fields)
        if status != 204:
            told += f"content-length: {len(answer)}\r\n"
        head = f"HTTP/1.1 {status} {_REASONS.get(status, 'Some')}\r\n{told}\r\n"
        # One write: a second would wait for the acknowledgement of the first.
        writer.write(head.encode(errors="surrogateescape") + (b"" if method == "HEAD" else answer))
        await writer.drain()
        return True


def _reset(writer: asyncio.StreamWriter) -> bool:
    # Linger of no time: the kernel answers with RST.
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
    return False


@contextmanager
def faulty() -> Iterator[Faulty]:
    server, stop = Faulty(), list[asyncio.Future[None]]()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(128)
        server.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread = Thread(lambda: asyncio.run(server._serve(listener, stop)))
        wait_until(lambda: bool(stop) or not thread.is_alive())
        try:
            yield server
        finally:
            if stop and server._loop is not None:
                server._loop.call_soon_threadsafe(stop[0].set_result, None)
            thread.finish()
