"""Takes and gives back permits of the shared limit in so many tasks, for so many seconds: permits.py SECONDS TASKS.

Says how many permits it got, and its longest wait (seconds).
"""

import asyncio
import sys
import time

from tidegate import ConcurrencyLimiter

HELD = 0.01
seconds, tasks = float(sys.argv[1]), int(sys.argv[2])
limiter = ConcurrencyLimiter(4, max_wait=None, scope="host:permits", name="places")


async def main() -> tuple[int, float]:
    permits, longest, end = 0, 0.0, time.monotonic() + seconds

    async def task() -> None:
        nonlocal permits, longest
        while (asked := time.monotonic()) < end:
            with await limiter.acquire_async():
                now = time.monotonic()
                longest = max(longest, now - asked)
                if now < end:
                    permits += 1
                    await asyncio.sleep(HELD)

    await asyncio.gather(*(task() for _ in range(tasks)))
    return permits, longest


print("ready", flush=True)
sys.stdin.readline()
print("done", *asyncio.run(main()), flush=True)
