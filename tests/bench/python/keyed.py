"""The peers of a limit per key: each gives a function of the key that admits."""

import random
import threading
import time

import limits
import pyrate_limiter
import slowapi
import throttled
from starlette.requests import Request

KEYS = [f"user:{number:012}" for number in random.Random(1).sample(range(10**12), 10_000)]
# No key uses it up.
BURST = 500_000


def naive():
    """What a service writes for itself: a level and the time of the last look by key, and a lock."""
    lock, levels, rate = threading.Lock(), {}, 1 / 60

    def try_acquire(key, n=1):
        with lock:
            now = time.monotonic()
            level, last = levels.get(key, (BURST, now))
            level = min(BURST, level + (now - last) * rate)
            if level < n:
                levels[key] = level, now
                return False
            levels[key] = level - n, now
            return True

    return try_acquire


def limits_storage():
    limiter = limits.strategies.FixedWindowRateLimiter(limits.storage.MemoryStorage())
    item = limits.RateLimitItemPerHour(BURST)
    return lambda key: limiter.hit(item, key)


class PyrateBuckets(pyrate_limiter.BucketFactory):
    """A bucket for each key, as its documentation has it; leaked by hand: a task would visit ten thousand."""

    def __init__(self):
        self.buckets = {}
        self.rates = [pyrate_limiter.Rate(BURST, pyrate_limiter.Duration.HOUR)]

    def wrap_item(self, name, weight=1):
        return pyrate_limiter.RateItem(name, time.monotonic_ns() // 1_000_000, weight=weight)

    def get(self, item):
        bucket = self.buckets.get(item.name)
        if bucket is None:
            bucket = self.buckets[item.name] = pyrate_limiter.InMemoryBucket(self.rates)
        return bucket


def pyrate():
    limiter = pyrate_limiter.Limiter(PyrateBuckets())
    return lambda key: limiter.try_acquire(key, blocking=False)


def throttled_py():
    throttle = throttled.Throttled(
        using=throttled.RateLimiterType.TOKEN_BUCKET.value,
        quota=throttled.per_hour(BURST),
        store=throttled.MemoryStore(options={"MAX_SIZE": 2 * len(KEYS)}),
    )
    return lambda key: not throttle.limit(key).limited


def slow_api():
    """Through its decorator, each call with a request of its own, as a framework calls it."""
    limiter = slowapi.Limiter(key_func=lambda request: request.scope["user"])

    @limiter.limit(f"{BURST}/hour")
    def route(request):
        return True

    scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
    return lambda key: route(request=Request({**scope, "user": key}))
