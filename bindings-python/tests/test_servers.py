"""Host scope under the servers that production uses: one limit for all workers, by real HTTP."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


import pytest
from conftest import PATIENCE, Thread, wait_until
from served import Answer, ask

WORKERS = 4
BURST = 40

APP = """
import asyncio, os
from tidegate import ConcurrencyLimiter, TokenBucket
from tidegate.asgi import TidegateMiddleware

SCOPE = os.environ["TEST_SCOPE"]

async def plain(scope, receive, send):
    if scope["type"] == "lifespan":
        while (await receive())["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        return await send({"type": "lifespan.shutdown.complete"})
    if scope["path"] == "/hold":
        # The head of the answer goes out, its end never does.
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"holding", "more_body": True})
        await asyncio.sleep(3600)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})

# Made when the module is imported: in each worker, or before the fork with --preload.
limited = TidegateMiddleware(plain, limit=TokenBucket("1/hour", burst=BURST, scope=SCOPE, name="door"))
few = TidegateMiddleware(plain, concurrency=ConcurrencyLimiter(2, scope=SCOPE, name="under-way"))

async def app(scope, receive, send):
    async def say_who(message):
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], (b"x-worker", b"%d" % os.getpid())]}
        await send(message)

    gated = few if scope.get("path") in ("/hold", "/try") else limited
    await gated(scope, receive, say_who)
""".replace("BURST", str(BURST))

SERVERS = {
    "uvicorn --workers": [
        "uvicorn",
        "--workers",
        str(WORKERS),
        "--log-level",
        "warning",
        "--port",
        "{port}",
        "shop:app",
    ],
    "gunicorn": [
        "gunicorn",
        "-w",
        str(WORKERS),
        "-k",
        "uvicorn_worker.UvicornWorker",
        "-b",
        "127.0.0.1:{port}",
        "shop:app",
    ],
}
SERVERS["gunicorn --preload"] = [*SERVERS["gunicorn"][:-1], "--preload", "shop:app"]
RECYCLING = {
    f"{name} --max-requests": [*SERVERS[name][:-1], "--max-requests", "10", "--max-requests-jitter", "10", "shop:app"]
    for name in ("gunicorn", "gunicorn --preload")
}


@contextmanager
def workers_of(server: str, host: str, folder: Path) -> Iterator[str]:
    (folder / "shop.py").write_text(APP)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", *(part.format(port=port) for part in (SERVERS | RECYCLING)[server])]
    environment = {**os.environ, "TEST_SCOPE": host, "PYTHONPATH": str(folder)}
    log = folder / "server.log"
    with log.open("w") as out:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=out, stderr=out, start_new_session=True)
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: process.poll() is not None or len(seen_workers(url)) >= WORKERS)
        assert process.poll() is None, log.read_text()
        yield url
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            pass
        # Its workers too, whatever state they are in; the group is the server's own.
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait(PATIENCE)


def seen_workers(url: str) -> set[str]:
    """Who answers on an exempt path; each question on a connection of its own."""
    try:
        return {ask(url, "/healthz")[0].headers["x-worker"] for _ in range(20 * WORKERS)}
    except OSError:
        return set()


def one_each(url: str, path: str, number: int) -> list[Answer]:
    return [ask(url, path)[0] for _ in range(number)]


@pytest.mark.parametrize("server", SERVERS)
def test_one_limit_over_all_workers(server: str, host: str, tmp_path: Path) -> None:
    with workers_of(server, host, tmp_path) as url:
        threads = [Thread(lambda: one_each(url, "/", BURST)) for _ in range(4)]
        answers = [answer for thread in threads for answer in thread.finish()]
        admitted = [answer for answer in answers if answer.status == 200]
        assert len(admitted) == BURST and {answer.status for answer in answers} == {200, 429}
        refusers: set[str] = set()
        wait_until(lambda: len(refusers_of(url, refusers)) == WORKERS)
        # The policy that clients are told of is the one of all workers.
        assert answers[0].headers["ratelimit-policy"] == f'"default";q={BURST};w={BURST * 3600}'


def refusers_of(url: str, known: set[str]) -> set[str]:
    [answer] = ask(url, "/")
    assert answer.status == 429
    known.add(answer.headers["x-worker"])
    return known


@pytest.mark.parametrize("server", SERVERS)
def test_permits_of_a_killed_worker_come_back(server: str, host: str, tmp_path: Path) -> None:
    with workers_of(server, host, tmp_path) as url:
        holds = [hold(url) for _ in range(2)]
        for _ in range(2 * WORKERS):
            assert ask(url, "/try")[0].status == 503, "two are under way, in whichever worker"
        for worker in {worker for worker, _ in holds}:
            os.kill(worker, signal.SIGKILL)

        # Or the connection was the killed one's.
        wait_until(lambda: is_served(url, "/try"))
        for _, connection in holds:
            connection.close()


@pytest.mark.parametrize("server", RECYCLING)
def test_what_recycled_workers_charged_stays_and_what_they_held_is_free(server: str, host: str, tmp_path: Path) -> None:
    with workers_of(server, host, tmp_path) as url:
        workers: set[str] = set()
        statuses: list[int] = []

        def ask_more() -> bool:
            for path in ("/", "/try"):
                try:
                    answer = ask(url, path)[0]
                except OSError:
                    # Its worker ended first; what it held comes back after a moment.
                    wait_until(lambda: is_served(url, "/try"))
                    continue
                workers.add(answer.headers["x-worker"])
                if path == "/":
                    statuses.append(answer.status)
                else:
                    # Never more than one at once, of two.
                    assert answer.status == 200
            return len(workers) >= 3 * WORKERS and len(statuses) >= 2 * BURST

        wait_until(ask_more)
        admitted = statuses.count(200)
        # In one go, from the first: nobody's end gave anything back. Those whose answer was lost are not seen.
        assert BURST - 5 <= admitted <= BURST and set(statuses) == {200, 429}
        assert 200 not in statuses[admitted:]
        holds = [hold(url) for _ in range(2)]
        assert ask(url, "/try")[0].status == 503
        for _, connection in holds:
            connection.close()


def is_served(url: str, path: str) -> bool:
    try:
        return ask(url, path)[0].status == 200
    except OSError:
        return False


def hold(url: str) -> tuple[int, socket.socket]:
    """A request that never ends: who serves it, and its connection."""
    address, port = url.removeprefix("http://").split(":")
    end = time.monotonic() + PATIENCE
    connection = socket.create_connection((address, int(port)), PATIENCE)
    connection.sendall(b"GET /hold HTTP/1.1\r\nhost: x\r\n\r\n")
    head = b""
    while b"holding" not in head:
        assert time.monotonic() < end and (part := connection.recv(4096)), head
        head += part
    fields = dict(line.split(": ", 1) for line in head.decode().lower().split("\r\n") if ": " in line)
    return int(fields["x-worker"]), connection
