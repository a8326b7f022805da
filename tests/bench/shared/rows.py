"""One bucket for two Python processes that call at once: the time from the first call to the last, over all calls."""

import json
import multiprocessing
import os
import sys
import time

import limits

from tidegate import TokenBucket

ROUNDS = 7 if "--quick" in sys.argv else 31
SECONDS = 0.1
PROCESSES = 2
# Never empty, never quite full: every call is admitted and moves the state on.
RATE, BURST = 1_000_000, 1_000_000_000


class LockedBucket:
    """What a service writes for itself: level and time in shared memory, and a lock between processes round them."""

    def __init__(self, shared):
        self.lock, self.state = shared

    def try_acquire(self):
        with self.lock:
            now = time.monotonic()
            level = min(BURST, self.state[0] + (now - self.state[1]) * RATE)
            self.state[1] = now
            if level < 1:
                self.state[0] = level
                return False
            self.state[0] = level - 1
            return True


def redis_limits(_):
    uri = f"redis+unix://{os.environ['BENCH_REDIS']}"
    limiter = limits.strategies.FixedWindowRateLimiter(limits.storage.storage_from_string(uri))
    item = limits.RateLimitItemPerHour(BURST)
    return lambda: limiter.hit(item, "key")


CONTENDERS = {
    "tidegate, host scope": lambda _: (
        TokenBucket(RATE, per=1.0, burst=BURST, scope="host:bench", name="it").try_acquire
    ),
    "tidegate, one each": lambda _: TokenBucket(RATE, per=1.0, burst=BURST).try_acquire,
    "multiprocessing.Lock and Array": lambda shared: LockedBucket(shared).try_acquire,
}
if "BENCH_REDIS" in os.environ:
    CONTENDERS["limits on Redis"] = redis_limits


def work(pipe, shared):
    """Calls each contender that it is told, for the time that it is told, and says from when to when and how often."""
    ready = {name: make(shared) for name, make in CONTENDERS.items()}
    while name := pipe.recv():
        call, calls = ready[name], 0
        start = time.monotonic()
        end = start + SECONDS
        while time.monotonic() < end:
            for _ in range(20):
                call()
            calls += 20
        pipe.send((start, time.monotonic(), calls))


def main():
    context = multiprocessing.get_context("spawn")
    shared = context.Lock(), context.Array("d", [BURST, time.monotonic()], lock=False)
    pipes = []
    for _ in range(PROCESSES):
        ours, theirs = context.Pipe()
        context.Process(target=work, args=(theirs, shared), daemon=True).start()
        pipes.append(ours)
    names = list(CONTENDERS)
    ns = {name: [] for name in names}
    for number in range(ROUNDS):
        for name in names[number % len(names):] + names[: number % len(names)]:
            for pipe in pipes:
                pipe.send(name)
            told = [pipe.recv() for pipe in pipes]
            span = max(end for _, end, _ in told) - min(start for start, _, _ in told)
            ns[name].append(span * 1e9 / sum(calls for *_, calls in told))
    for pipe in pipes:
        pipe.send(None)
    row = {
        "binding": "python",
        "work": "one bucket, 2 processes at once",
        "tidegate": "tidegate, host scope",
        "floor": "tidegate, one each",
        "floors": ["tidegate, one each"],
        "targets": [],
        "ns": ns,
    }
    print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
