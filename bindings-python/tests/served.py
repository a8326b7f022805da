"""Real servers on free ports of this machine, and a client that asks them."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import aiohttp
import uvicorn
from conftest import Thread, run, wait_until


@contextmanager
def served(app: Any, http: str = "httptools", **options: Any) -> Iterator[str]:
    """An ASGI application, by the server that production uses."""
    options = {"log_level": "critical", "ws": "websockets-sansio", "lifespan": "on", **options}
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(128)
        config = uvicorn.Config(app, http=http, **options)
        server = uvicorn.Server(config)
        thread = Thread(lambda: asyncio.run(server.serve([listener])))
        wait_until(lambda: server.started or not thread.is_alive())
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.finish()


@contextmanager
def served_wsgi(app: Any) -> Iterator[str]:
    """A WSGI application, by Werkzeug's threaded server."""
    from werkzeug.serving import make_server

    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join(30)
        server.server_close()


class Answer:
    def __init__(self, status: int, headers: Any, body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body

    def json(self) -> Any:
        return json.loads(self.body)


def ask(url: str, *paths: str, method: str = "GET", **kwargs: Any) -> list[Answer]:
    """One after the other over one connection."""

    async def scene() -> list[Answer]:
        answers = []
        async with aiohttp.ClientSession() as session:
            for path in paths:
                async with session.request(method, url + path, **kwargs) as response:
                    answers.append(Answer(response.status, response.headers, await response.read()))
        return answers

    found: list[Answer] = run(scene())
    return found


def statuses(answers: list[Answer]) -> list[int]:
    return [answer.status for answer in answers]
