"""Takes from the shared limit as fast as it is let, for so many seconds: hammer.py SECONDS FILE.

Writes, for each admission, the times just before and after the decision (nanoseconds of CLOCK_MONOTONIC).
"""

import array
import sys
import time

from tidegate import TokenBucket

seconds, path = float(sys.argv[1]), sys.argv[2]
bucket = TokenBucket("400/s", burst=800, scope="host:hammer", name="orders")
print("ready", flush=True)
sys.stdin.readline()
times = array.array("Q")
end = time.monotonic() + seconds
while time.monotonic() < end:
    before = time.monotonic_ns()
    if bucket.try_acquire():
        times.extend((before, time.monotonic_ns()))
    time.sleep(0.002)
with open(path, "wb") as file:
    times.tofile(file)
print("done", flush=True)
