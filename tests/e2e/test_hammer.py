"""Eight Python and four Node processes on one limit: together they get what it allows, and all of it."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp
import numpy as np
from conftest import HERE, expect, say, wait_until

RATE, BURST = 400, 800
# The arena's clock (the CPU's counter) may run this much faster than the one that the times are read from:
# docs/host-scope.md. 30 s of it are 2.4 admissions of 12,800.
CLOCK = 200e-6
SECONDS = float(os.environ.get("TIDEGATE_HAMMER_S", "30"))


@contextmanager
def uvicorn(tmp_path: Path) -> Iterator[str]:
    """Four workers behind one port."""
    log = tmp_path / "uvicorn.log"
    command = [sys.executable, "-m", "uvicorn", "hammer_app:app", "--port", "0", "--workers", "4", "--no-access-log"]
    with log.open("w") as file:
        process = subprocess.Popen(command, cwd=HERE, stdout=file, stderr=file)
    try:
        address = re.compile(r"http://127\.0\.0\.1:\d+")
        wait_until(lambda: log.read_text().count("Application startup complete") == 4)
        found = address.search(log.read_text())
        assert found, log.read_text()
        yield found[0]
    finally:
        process.terminate()
        process.wait(30)


async def ask(urls: list[str], end: float) -> list[tuple[int, int]]:
    """For each admission the times just before the request and after the answer."""
    times: list[tuple[int, int]] = []

    async def customer(session: aiohttp.ClientSession, url: str) -> None:
        while time.monotonic() < end:
            before = time.monotonic_ns()
            async with session.get(url) as answer:
                assert answer.status in (200, 429)
                await answer.read()
                if answer.status == 200:
                    times.append((before, time.monotonic_ns()))
            await asyncio.sleep(0.05)

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        await asyncio.gather(*(customer(session, url) for url in urls for _ in range(8)))
    return times


def test_twelve_processes_obey_one_limit(
    start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    files = [tmp_path / f"direct-{number}" for number in range(6)]
    direct = [start("hammer.py" if number < 4 else "hammer.mjs", SECONDS, file) for number, file in enumerate(files)]
    servers = [expect(start("hammer_server.mjs"), "ready") for _ in range(2)]
    for process in direct:
        expect(process, "ready")
    with uvicorn(tmp_path) as workers:
        first = time.monotonic_ns()
        for process in direct:
            say(process, "go")
        over_http = asyncio.run(ask([workers, *servers], time.monotonic() + SECONDS))
        for process in direct:
            expect(process, "done")
    own = [np.fromfile(file, np.uint64).astype(np.int64).reshape(-1, 2) for file in files]
    times = np.concatenate([*own, np.array(over_http, np.int64).reshape(-1, 2)])
    span = (times[:, 1].max() - first) / 1e9
    allowed = BURST + RATE * span
    part, direct = f"{len(times) / allowed:.2%} of {allowed:.0f}", [len(t) for t in own]
    print(f"{len(times)} admitted in {span:.2f} s, {part}; {direct} direct, {len(over_http)} by HTTP")
    assert all(len(each) for each in own) and over_http, "everybody has a share"
    assert len(times) >= 0.99 * (BURST + RATE * SECONDS)
    assert np.max(excess(times)) <= 0, "more than burst + rate x time"


def excess(times: np.ndarray) -> np.ndarray:
    """For windows that begin at every 16th admission: by how many the worst end of each is over the limit.

    A decision fell between the two times of its row, so all rows that lie within a window were decided in it.
    """
    rate = RATE * (1 + CLOCK)
    times = times[np.argsort(times[:, 0])]
    worst = []
    for begin in range(0, len(times), 16):
        ends = np.sort(times[begin:, 1])
        counts = np.arange(1, len(ends) + 1)
        worst.append(np.max(counts - BURST - rate * (ends - times[begin, 0]) / 1e9))
    return np.array(worst)
