"""Eight workers, of Python and of Node, on one adaptive limit at twice what they can do: together never above it."""

from __future__ import annotations

import asyncio
import bisect
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeAlias

import aiohttp
import pytest
from conftest import expect

Start: TypeAlias = Callable[..., subprocess.Popen[str]]
SCRIPTS = ["worker.py", "worker.mjs"] * 4
# Two calls of 0.1 s at a time in each worker.
CAPACITY, SECONDS = 20 * len(SCRIPTS), 8.0


class Call(NamedTuple):
    """One that was admitted: times in ns, and the limit as it was read then."""

    asked: int
    limit_asked: int
    admitted: int
    limit_admitted: int
    ended: int


async def ask(urls: list[str]) -> dict[int, int]:
    """Twice the capacity, on schedule, whatever becomes of those before: how many had which status."""
    statuses: dict[int, int] = {}

    async def one(session: aiohttp.ClientSession, url: str) -> None:
        async with session.get(url) as answer:
            statuses[answer.status] = statuses.get(answer.status, 0) + 1

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        begin, tasks = time.monotonic(), []
        for number in range(int(2 * CAPACITY * SECONDS)):
            await asyncio.sleep(max(0.0, begin + number / (2 * CAPACITY) - time.monotonic()))
            tasks.append(asyncio.create_task(one(session, urls[number % len(urls)])))
        await asyncio.gather(*tasks)
    return statuses


def above(calls: list[Call]) -> list[str]:
    """Admissions at which more were under way than the limit has been since the call was made."""
    limits = sorted(
        [(call.asked, call.limit_asked) for call in calls] + [(call.admitted, call.limit_admitted) for call in calls]
    )
    begins, ends = sorted(call.admitted for call in calls), sorted(call.ended for call in calls)
    wrong = []
    for call in calls:
        # Less than what holds a permit: each is counted from after its admission to before its release.
        under_way = bisect.bisect_right(begins, call.admitted) - bisect.bisect_right(ends, call.admitted)
        since, until = bisect.bisect_left(limits, (call.asked, 0)), bisect.bisect_left(limits, (call.admitted + 1, 0))
        known = limits[since:until]
        if under_way > (most := max(limit for _, limit in known)):
            wrong.append(f"{under_way} under way at a limit of {most}")
    return wrong


def run(start: Start, tmp_path: Path, scope: str) -> tuple[dict[int, int], list[list[Call]]]:
    files = [tmp_path / f"worker-{number}" for number in range(len(SCRIPTS))]
    workers = [start(script, file, scope) for script, file in zip(SCRIPTS, files)]
    statuses = asyncio.run(ask([expect(worker, "ready") for worker in workers]))
    for worker in workers:
        assert worker.stdin
        worker.stdin.close()
        assert worker.wait(30) == 0
    return statuses, [[Call(*map(int, line.split())) for line in file.read_text().splitlines()] for file in files]


@pytest.mark.parametrize("scope", ["host:adaptive", "process"])
def test_together_never_above_the_limit(start: Start, tmp_path: Path, scope: str) -> None:
    statuses, each = run(start, tmp_path, scope)
    calls = [call for one in each for call in one]
    limits = {call.limit_admitted for call in calls}
    assert all(each), "everybody has a share"
    assert statuses.pop(200) == len(calls) and set(statuses) <= {503}, "what is refused is a 503"
    wrong = above(calls)
    seconds = (max(call.ended for call in calls) - min(call.asked for call in calls)) / 1e9
    part = f"{len(calls) / seconds:.0f} a second of {CAPACITY} that they can do"
    print(f"{scope}: {part}, limits {min(limits)} to {max(limits)}, {len(wrong)} admissions above the limit")
    if scope == "process":
        assert wrong, "of eight limits, together more are under way than one of them allows: what counts must see it"
    else:
        assert statuses and len(limits) > 1 and not wrong
