"""Works on every object of an arena until it is killed. `victim.py` starts such processes by fork, one a line of its
input (the line is the victim's number), and says their pids: an interpreter each would take most of the test's time.

A victim counts its admissions in a file of its own, right after each: what it did not come to count is at most one.
"""

import os
import random
import signal
import struct
import sys
import time
from mmap import mmap
from pathlib import Path
from typing import Any

from tidegate import CircuitBreaker, CircuitOpenError, ConcurrencyLimiter, RateLimiter, TokenBucket

SCOPE = "host:kill"
KEYS = [f"user:{number}" for number in range(20)]


def objects() -> dict[str, Any]:
    """Every process says the same."""
    return {
        "bucket": TokenBucket("2000/s", burst=500, scope=SCOPE, name="bucket"),
        "changing": TokenBucket("1000/s", burst=100, scope=SCOPE, name="changing"),
        "limiter": RateLimiter("50/s", burst=10, max_keys=1_000, scope=SCOPE, name="limiter"),
        "window": RateLimiter("100/s", max_keys=1_000, algorithm="fixed_window", scope=SCOPE, name="window"),
        "log": RateLimiter("20/s", max_keys=100, algorithm="sliding_log", scope=SCOPE, name="log"),
        "breaker": CircuitBreaker("breaker", consecutive_failures=5, cooldown=0.001, probes=1, scope=SCOPE),
        "held": ConcurrencyLimiter(16, scope=SCOPE, name="held"),
        "passing": ConcurrencyLimiter(3, scope=SCOPE, name="passing"),
    }


def work(number: int, counts: Path) -> None:
    mine = objects()
    kept = mine["held"].try_acquire()  # until the end, which is a kill
    with counts.open("r+b") as file:
        counter = mmap(file.fileno(), 0)
    with counts.with_suffix(".ready").open("w") as ready:
        ready.write(str(os.getpid()) if kept else "no permit")
    admitted, parent = 0, os.getppid()
    choose = random.Random(number)
    while os.getppid() == parent:
        step = choose.randrange(8)
        if step < 3:
            if mine["bucket"].try_acquire():
                admitted += 1
                struct.pack_into("=Q", counter, 0, admitted)
        elif step == 3:
            mine["changing"].set_quota(choose.choice(["1000/s", "500/s"]), burst=choose.choice([50, 100]))
            mine["changing"].try_acquire(2)
        elif step == 4:
            for each in ("limiter", "window", "log"):
                mine[each].check(choose.choice(KEYS))
        elif step == 5:
            try:
                with mine["breaker"].acquire():
                    if choose.random() < 0.7:
                        raise ZeroDivisionError
            except (ZeroDivisionError, CircuitOpenError):
                pass
        elif step == 6:
            permit = mine["passing"].try_acquire()
            if permit:
                permit.release()
        else:
            mine.update(objects())  # as a worker that starts
        time.sleep(0.0002)


def main() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        number, counts = line.split()
        if (pid := os.fork()) == 0:
            work(int(number), Path(counts))
            os._exit(0)
        print(pid, flush=True)


if __name__ == "__main__":
    main()
