"""Processes of two languages, killed with -9 wherever they are: nobody is stuck, nothing is minted, all comes back."""

from __future__ import annotations

import os
import random
import signal
import struct
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conftest import wait_until
from victim import KEYS, objects

KILLS = int(os.environ.get("TIDEGATE_KILLS", "1000"))
LIVE = 6
SEED = int(os.environ.get("TIDEGATE_SEED", "20261122"))


@dataclass
class Victim:
    pid: int
    counts: Path
    process: subprocess.Popen[str] | None  # Node's; Python's are grandchildren

    @property
    def admitted(self) -> int:
        return int(struct.unpack("=Q", self.counts.read_bytes())[0])

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        if self.process:
            self.process.wait()
        else:
            wait_until(lambda: not Path(f"/proc/{self.pid}").exists())


class Nursery:
    """Three Python processes in four, one Node process."""

    def __init__(self, start: Callable[..., subprocess.Popen[str]], tmp_path: Path):
        self._start, self._path, self._number = start, tmp_path, 0
        self._python = start("victim.py")

    def new(self) -> Victim:
        self._number += 1
        counts = self._path / f"victim-{self._number}.counts"
        counts.write_bytes(bytes(8))
        if self._number % 4 == 0:
            process = self._start("victim.mjs", self._number, counts)
            return Victim(process.pid, counts, process)
        assert self._python.stdin and self._python.stdout
        self._python.stdin.write(f"{self._number} {counts}\n")
        self._python.stdin.flush()
        return Victim(int(self._python.stdout.readline()), counts, None)


def within(seconds: float, what: str, call: Callable[[], Any]) -> Any:
    """The call's result; a failure if it hangs."""
    box: list[Any] = []
    thread = threading.Thread(target=lambda: box.append(call()), daemon=True)
    thread.start()
    thread.join(seconds)
    assert box, f"{what} hangs or failed"
    return box[0]


def test_killed_at_any_instruction(start: Callable[..., subprocess.Popen[str]], arenas: Path, tmp_path: Path) -> None:
    choose = random.Random(SEED)
    mine = objects()
    began = time.monotonic()
    nursery = Nursery(start, tmp_path)
    live = [nursery.new() for _ in range(LIVE)]
    dead: list[Victim] = []
    for number in range(KILLS):
        victim = live.pop(choose.randrange(len(live)))
        # Before it has opened an arena, while it does, or well after.
        if choose.random() < 0.8:
            wait_until(victim.counts.with_suffix(".ready").exists)
            time.sleep(choose.random() * 0.01)
        victim.kill()
        dead.append(victim)
        live.append(nursery.new())
        time.sleep(0.011)
        within(10, f"an operation after kill {number}", lambda: check(mine, live))
        spent = time.monotonic() - began
        admitted = sum(each.admitted for each in (*live, *dead))
        assert admitted <= 500 + 2000 * spent, f"{admitted} in {spent:.2f} s"
    for each in live:
        wait_until(each.counts.with_suffix(".ready").exists)
        assert each.counts.with_suffix(".ready").read_text() != "no permit"
        each.kill()
    time.sleep(0.011)
    check_all_back(mine)
    seen = mine["bucket"].stats().admitted
    counted = sum(each.admitted for each in (*live, *dead))
    print(f"{KILLS} kills; {counted} admissions counted by who made them, {seen} by the bucket")
    assert counted <= seen <= counted + len(dead) + len(live) + KILLS, "a count is at most one kill behind"


def check(mine: dict[str, Any], live: list[Victim]) -> bool:
    """Everything answers, and what a dead process held comes back."""
    mine["bucket"].check()
    assert mine["changing"].burst in (50, 100)
    for each in ("limiter", "window", "log"):
        mine[each].check(KEYS[0])
    permit = mine["breaker"].try_acquire()
    if permit:
        permit.success()
    # Each living victim holds one of the sixteen, or is about to.
    taken = []
    while (permit := mine["held"].try_acquire()) is not None:
        taken.append(permit)
    free = len(taken)
    for permit in taken:
        permit.release()
    assert 16 - len(live) <= free <= 16, f"{free} of 16 free with {len(live)} alive"
    return True


def check_all_back(mine: dict[str, Any]) -> None:
    for name, limit in (("held", 16), ("passing", 3)):
        permits = [mine[name].try_acquire() for _ in range(limit)]
        assert all(permits), f"{name}: {sum(map(bool, permits))} of {limit} came back"
        assert mine[name].try_acquire() is None
        for permit in permits:
            permit.release()
    # A probe that died with its process does not keep the circuit half-open.
    wait_until(lambda: (permit := mine["breaker"].try_acquire()) is not None and (permit.success() or True), 5)
    wait_until(lambda: mine["bucket"].try_acquire(400), 5)
