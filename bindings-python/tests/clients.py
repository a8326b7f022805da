"""The clients of HTTP under tidegate, each asked in the same way."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import aiohttp
import httpx
import requests
import tidegate.aiohttp
import tidegate.httpx
import tidegate.requests

CLIENTS = ["httpx", "httpx async", "requests", "aiohttp"]
ASYNC = ["httpx async", "aiohttp"]
# What users of each client catch.
ERRORS: dict[str, Any] = {
    "httpx": httpx.TransportError,
    "httpx async": httpx.TransportError,
    "requests": requests.ConnectionError,
    "aiohttp": aiohttp.ClientConnectionError,
}


class Got(NamedTuple):
    status: int
    body: bytes


class Client:
    """``send`` sends one request; ``opened`` gives the response with its body still to come."""

    def __init__(self, kind: str, loop: asyncio.AbstractEventLoop, **policies: Any) -> None:
        self.kind = kind
        self.loop = loop if kind in ASYNC else None
        self.session: Any = None
        self.timeout = policies.pop("timeout", 10)
        connections = policies.pop("connections", 20)
        if kind == "aiohttp":
            middleware = tidegate.aiohttp.Middleware(**policies)

            async def make() -> aiohttp.ClientSession:
                connector = aiohttp.TCPConnector(limit=connections)
                timeout = aiohttp.ClientTimeout(total=self.timeout, connect=self.timeout / 2)
                return aiohttp.ClientSession(middlewares=[middleware], connector=connector, timeout=timeout)

            self.session = self.run(make())
        elif kind == "requests":
            self.session = requests.Session()
            self.session.mount("http://", tidegate.requests.Adapter(pool_maxsize=connections, **policies))
        else:
            limits = httpx.Limits(max_connections=connections)
            if kind == "httpx":
                self.session = httpx.Client(
                    transport=tidegate.httpx.Transport(limits=limits, **policies), timeout=self.timeout
                )
            else:
                self.session = httpx.AsyncClient(
                    transport=tidegate.httpx.AsyncTransport(limits=limits, **policies), timeout=self.timeout
                )

    def run(self, coroutine: Any) -> Any:
        if self.loop is None:
            return coroutine
        return self.loop.run_until_complete(asyncio.wait_for(coroutine, 30))

    def send(self, method: str, url: str, body: Any = None, follow: bool = True, **headers: str) -> Got:
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.kind == "aiohttp":

            async def ask() -> Got:
                sent = self.session.request(method, url, data=body, headers=headers, allow_redirects=follow)
                async with sent as response:
                    return Got(response.status, await response.read())

            got: Got = self.run(ask())
            return got
        if self.kind == "requests":
            found = self.session.request(
                method, url, data=body, headers=headers, timeout=self.timeout, allow_redirects=follow
            )
        else:
            found = self.run(self.session.request(method, url, content=body, headers=headers, follow_redirects=follow))
        return Got(found.status_code, found.content)

    def opened(self, url: str) -> Any:
        """A response whose headers are here."""
        if self.kind == "requests":
            return self.session.get(url, stream=True, timeout=self.timeout)
        if self.kind == "aiohttp":
            return self.run(self.session._request("GET", url))
        return self.run(self.session.send(self.session.build_request("GET", url), stream=True))

    def read(self, response: Any) -> bytes:
        if self.kind == "requests":
            return bytes(response.content)
        return bytes(self.run(response.aread() if self.kind == "httpx async" else response.read()))

    def abandon(self, response: Any) -> None:
        if self.kind == "httpx async":
            self.run(response.aclose())
        else:
            response.close()

    def close(self) -> None:
        if self.loop is None:
            self.session.close()
            return
        self.run(self.session.aclose() if self.kind == "httpx async" else self.session.close())
        # What was cut off has its turn, so that no warning is left to the collector.
        self.run(asyncio.sleep(0))


@contextlib.contextmanager
def client(kind: str, **policies: Any) -> Iterator[Client]:
    with contextlib.closing(asyncio.new_event_loop()) as loop:
        made = Client(kind, loop, **policies)
        try:
            yield made
        finally:
            made.close()
