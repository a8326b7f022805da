"""The Python rows, one JSON object a line: each contender is timed once a round, in turn (timeit, loop included)."""

import asyncio
import itertools
import json
import sys
import threading
import time
import timeit

import circuitbreaker
import interlock
import janus
import keyed
import limits
import pybreaker
import pyrate_limiter
import pyresilience
import stamina
import tenacity
from floor import Empty, Governor

from tidegate import BoundedQueue, CircuitBreaker, Processor, RateLimiter, RetryBudget, RetryPolicy, TokenBucket

ROUNDS = 101 if "--quick" in sys.argv else 601
# Seconds that one measurement takes, about: short, so that most are over before the kernel runs something else.
BATCH = 0.0002
# With many keys: long enough that what the others pushed out of the caches comes back within a small part of it.
KEYED_BATCH = 0.002
# Never empty, never quite full: every call is admitted and moves the state on.
RATE, BURST = 1_000_000, 1_000_000_000


async def worked(item):
    return item


def processed(make):
    """A call that puts 100 items through what ``make`` made in its loop, and waits for their results."""
    loop = asyncio.new_event_loop()
    submit = loop.run_until_complete(make())

    async def batch():
        await asyncio.gather(*[await submit(item) for item in range(100)])
        return True

    return lambda: loop.run_until_complete(batch())


async def through_processor():
    return Processor(worked, workers=10).submit_async


async def through_queue():
    """What a service writes for itself."""
    queue, loop = asyncio.Queue(5_000), asyncio.get_running_loop()

    async def worker():
        while True:
            item, future = await queue.get()
            try:
                future.set_result(await worked(item))
            except Exception as error:
                future.set_exception(error)

    loop.workers = [loop.create_task(worker()) for _ in range(10)]

    async def submit(item):
        future = loop.create_future()
        await queue.put((item, future))
        return future

    return submit


async def alone():
    async def submit(item):
        return worked(item)

    return submit


# Items of a hand-over, and the most that wait.
HANDED, ROOM = 1_000, 1_000


def handed_over(make):
    """A call in which a thread puts HANDED items into what ``make`` made in its loop, and the loop takes them out."""
    loop = asyncio.new_event_loop()
    put, get = loop.run_until_complete(make())

    def feed():
        for item in range(HANDED):
            put(item)

    async def batch():
        fed = loop.run_in_executor(None, feed)
        for _ in range(HANDED):
            await get()
        await fed
        return True

    return lambda: loop.run_until_complete(batch())


async def through_bounded_queue():
    queue = BoundedQueue(ROOM)
    return queue.push, queue.pop_async


async def through_janus():
    queue = janus.Queue(ROOM)
    return queue.sync_q.put, queue.async_q.get


async def through_asyncio_queue():
    """A wake-up of the loop for each item, and no bound: a thread cannot wait for an ``asyncio.Queue``."""
    queue, loop = asyncio.Queue(), asyncio.get_running_loop()
    return lambda item: loop.call_soon_threadsafe(queue.put_nowait, item), queue.get


class NaiveBucket:
    """What a service writes for itself: a float level, the time of the last look and a lock."""

    def __init__(self, rate, burst):
        self.rate, self.burst, self.level = rate, burst, burst
        self.last = time.monotonic()
        self.lock = threading.Lock()

    def try_acquire(self, n=1):
        with self.lock:
            now = time.monotonic()
            self.level = min(self.burst, self.level + (now - self.last) * self.rate)
            self.last = now
            if self.level < n:
                return False
            self.level -= n
            return True


def limits_bucket():
    limiter = limits.strategies.FixedWindowRateLimiter(limits.storage.MemoryStorage())
    item = limits.RateLimitItemPerHour(BURST)
    return lambda: limiter.hit(item, "key")


def pyrate_bucket():
    limiter = pyrate_limiter.Limiter(pyrate_limiter.Rate(100_000, pyrate_limiter.Duration.DAY))
    return lambda: limiter.try_acquire("key", blocking=False)


def pyresilience_bucket():
    return pyresilience.RateLimiter(pyresilience.RateLimiterConfig(max_calls=BURST, period=3600.0)).acquire


def works():
    return True


def protected(breaker):
    """The call that a breaker protects, through its `call`."""
    return lambda: breaker.call(works)


def permit(breaker):
    acquire = breaker.acquire

    def call():
        with acquire():
            return works()

    return call


def retried_by_tenacity():
    wait = tenacity.wait_random_exponential(0.1, 5)
    retrying = tenacity.Retrying(stop=tenacity.stop_after_attempt(3), wait=wait)
    return lambda: retrying(works)


def retried_by_stamina():
    return stamina.retry(on=Exception)(works)


def decorated(breaker):
    return breaker(works)


ROWS = [
    {
        "work": "bucket, 1 thread, admit",
        "floor": "empty PyO3 method",
        "floors": ["empty PyO3 method", "empty loop"],
        "targets": [{"of": "empty PyO3 method", "most": 2}],
        "contenders": {
            "tidegate": lambda: TokenBucket(RATE, per=1.0, burst=BURST).try_acquire,
            "pyresilience": pyresilience_bucket,
            "naive class with a lock": lambda: NaiveBucket(RATE, BURST).try_acquire,
            "limits": limits_bucket,
            "pyrate-limiter": pyrate_bucket,
            "empty PyO3 method": lambda: Empty().empty,
            "empty loop": lambda: None,
        },
    },
    {
        "work": "keyed by str, 10 k keys",
        "keys": keyed.KEYS,
        "floor": "empty PyO3 method, key read",
        "floors": ["empty PyO3 method, key read", "empty loop"],
        "targets": [{"of": "PyO3 + governor", "most": 1}, {"of": "naive dict + lock", "most": 0.2}],
        "contenders": {
            "tidegate": lambda: RateLimiter("1/min", burst=keyed.BURST, max_keys=len(keyed.KEYS)).try_acquire,
            "PyO3 + governor": lambda: Governor(keyed.BURST).try_acquire,
            "naive dict + lock": keyed.naive,
            "limits": keyed.limits_storage,
            "pyrate-limiter": keyed.pyrate,
            "throttled-py": keyed.throttled_py,
            "slowapi, decorated function": keyed.slow_api,
            "empty PyO3 method, key read": lambda: Empty().read,
            "empty loop": lambda: None,
        },
    },
    {
        "work": "breaker, call that succeeds",
        "floor": "the function alone",
        "floors": ["the function alone"],
        "targets": [{"of": "circuitbreaker", "most": 0.4}, {"of": "interlock", "most": 0.05}],
        "contenders": {
            "tidegate": lambda: protected(CircuitBreaker("bench")),
            "tidegate decorator": lambda: decorated(CircuitBreaker("bench")),
            "tidegate permit": lambda: permit(CircuitBreaker("bench")),
            "circuitbreaker": lambda: protected(circuitbreaker.CircuitBreaker()),
            "pybreaker": lambda: protected(pybreaker.CircuitBreaker()),
            "interlock": lambda: decorated(interlock.CircuitBreaker(name="bench")),
            "the function alone": lambda: works,
        },
    },
    {
        "work": "processor, 100 items through 10 workers of asyncio",
        "floor": "the function alone",
        "floors": ["the function alone"],
        "targets": [],
        "contenders": {
            "tidegate": lambda: processed(through_processor),
            "asyncio.Queue + 10 tasks": lambda: processed(through_queue),
            "the function alone": lambda: processed(alone),
        },
    },
    {
        "work": "queue, 1,000 items from a thread to asyncio",
        "floor": None,
        "floors": [],
        "targets": [{"of": "janus", "most": 1}, {"of": "asyncio.Queue, call_soon_threadsafe", "most": 1}],
        "contenders": {
            "tidegate": lambda: handed_over(through_bounded_queue),
            "janus": lambda: handed_over(through_janus),
            "asyncio.Queue, call_soon_threadsafe": lambda: handed_over(through_asyncio_queue),
        },
    },
    {
        "work": "retry, call that succeeds",
        "floor": "the function alone",
        "floors": ["the function alone"],
        "targets": [{"of": "tenacity", "most": 0.05}, {"of": "stamina", "most": 0.05}],
        "contenders": {
            "tidegate": lambda: protected(RetryPolicy()),
            "tidegate with a budget": lambda: protected(RetryPolicy(budget=RetryBudget())),
            "tidegate decorator": lambda: decorated(RetryPolicy()),
            "tenacity": retried_by_tenacity,
            "stamina": retried_by_stamina,
            "the function alone": lambda: works,
        },
    },
]


def timer(make, keys):
    """The timer of a fresh object, and how often to call it."""
    call = make()
    batch = KEYED_BATCH if keys else BATCH
    if keys:
        # Each key once, so that all are known; then for ever in the same shuffled order.
        for key in keys if call else ():
            assert call(key), "the first call for a key is admitted"
        clock = Keyed(call, itertools.cycle(keys))
    else:
        clock = timeit.Timer("call()" if call else "pass", globals={"call": call})
    times = 10
    while (took := clock.timeit(times)) < batch / 4:
        times *= 2
    return clock, max(1, int(times * batch / took))


class Keyed:
    """A timeit.Timer whose statement has the next key."""

    def __init__(self, call, order):
        self.order, self.names = order, {"call": call}
        body = "call(key)" if call else "pass"
        self.timer = timeit.Timer(f"for key in keys: {body}", globals=self.names)

    def timeit(self, times):
        self.names["keys"] = itertools.islice(self.order, times)
        return self.timer.timeit(1)

    def repeat(self, repeat, times):
        return [self.timeit(times) for _ in range(repeat)]


def measure(row):
    print(f"  {row['work']}", file=sys.stderr)
    contenders = list(row["contenders"].items())
    keys = row.get("keys")
    if not keys and (call := contenders[0][1]()):
        assert call(), "the first call is admitted"
    timers = {name: timer(make, keys) for name, make in contenders}
    ns = {name: [] for name in timers}
    names = list(timers)
    for round_ in range(ROUNDS // 4 if keys else ROUNDS):
        for turn in range(len(names)):
            name = names[(round_ + turn) % len(names)]
            clock, times = timers[name]
            # The fastest of three: a measurement in which the kernel ran something else is no measurement.
            ns[name].append(round(min(clock.repeat(3, times)) / times * 1e9, 2))
    rest = {key: row[key] for key in ("work", "floor", "floors", "targets")}
    print(json.dumps({"binding": "python", **rest, "tidegate": names[0], "ns": ns}), flush=True)


if __name__ == "__main__":
    for each in ROWS:
        measure(each)
