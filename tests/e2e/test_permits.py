"""Four processes on one saturated concurrency limit: equal shares, and no wait much longer than in one line."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple, TypeAlias

import pytest
from conftest import expect, say

Start: TypeAlias = Callable[..., subprocess.Popen[str]]
SECONDS, TASKS, PROCESSES = 4.0, 20, 4
# A machine that let a sleeping thread wait so much longer than it asked cannot measure waits of 200 ms.
STALL = 0.05


class Share(NamedTuple):
    permits: int
    longest: float


def shares(start: Start, scripts: list[str], tasks: int) -> list[Share]:
    """What processes get that begin together."""
    processes = [start(script, SECONDS, tasks) for script in scripts]
    for process in processes:
        expect(process, "ready")
    for process in processes:
        say(process, "go")
    answers = [expect(process, "done").split() for process in processes]
    return [Share(int(permits), float(longest)) for permits, longest in answers]


@contextmanager
def longest_stall() -> Iterator[list[float]]:
    """The longest that a thread which asked for a millisecond slept beyond it."""
    longest, over = [0.0], threading.Event()

    def watch() -> None:
        while not over.is_set():
            before = time.monotonic()
            time.sleep(0.001)
            longest[0] = max(longest[0], time.monotonic() - before - 0.001)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield longest
    finally:
        over.set()
        thread.join()


def unfair(start: Start, scripts: list[str]) -> str:
    """What is wrong with the shares; nothing: the empty string."""
    alone = max(shares(start, [script], PROCESSES * TASKS)[0].longest for script in sorted(set(scripts)))
    together = shares(start, scripts, TASKS)
    total = sum(share.permits for share in together)
    fair = total / PROCESSES
    # What each waits in one line that moves as fast: a loaded machine makes that longer, whatever the order.
    in_one_line = SECONDS * PROCESSES * TASKS / max(total, 1)
    print(f"alone {alone:.3f} s; together {together}, {fair} on average, {in_one_line:.3f} s in one line")
    longest = 2 * max(alone, in_one_line)
    wrong = [f"{share} of {fair}" for share in together if not 0.8 * fair <= share.permits <= 1.25 * fair]
    wrong += [f"{share}, at most {longest:.3f} s" for share in together if share.longest > longest]
    return "; ".join(wrong)


@pytest.mark.parametrize("scripts", [["permits.py"] * 4, ["permits.py", "permits.mjs"] * 2], ids=["python", "mixed"])
def test_equal_demands_get_equal_shares(start: Start, scripts: list[str]) -> None:
    with longest_stall() as stall:
        wrong = unfair(start, scripts)
    if wrong and stall[0] > STALL:
        print(f"the machine stood still for {stall[0]:.3f} s: {wrong}; once more")
        wrong = unfair(start, scripts)
    assert not wrong
