"""Threads that still wait, or are in a guarded call, when the interpreter ends."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import PATIENCE, Thread, wait_until
from served import ask

# Each thread of this program is in one of CALLS when the interpreter ends, comes back from its wait then, and learns
# that it may not go on.
PROGRAM = """
import os, sys, threading, time, warnings
from tidegate import *

ITEMS, FULL = BoundedQueue(9, high_watermark=1.0), BoundedQueue(1, high_watermark=1.0)
FULL.try_push(0)
LIMITER = ConcurrencyLimiter(1, max_wait=0.1)
HELD = LIMITER.acquire()
BUCKET, KEYED, BOTH = (make(10, per=1, burst=1) for make in (TokenBucket, RateLimiter, TokenBucket))
BOTH = LimitSet(all=BOTH)
assert BUCKET.try_acquire() and KEYED.try_acquire("ann") and BOTH.check()
BREAKER, OPEN = CircuitBreaker("bank"), CircuitBreaker("open")
OPEN.force_open()
LOCK = threading.Lock()
LOCK.acquire()
JUDGED = CircuitBreaker("judged", failure_on=lambda error: LOCK.acquire())
DROPPING = BoundedQueue(1, high_watermark=1.0, on_full="drop_oldest", on_drop=lambda item, reason: LOCK.acquire())
DROPPING.try_push(0)

def wait():
    LOCK.acquire()

def fail():
    raise OSError

def refused():
    # Does not wait: the thread loses the GIL somewhere in here.
    OPEN.acquire()

def dropped():
    warnings.simplefilter("always")
    warnings.showwarning = lambda *args, **kwargs: LOCK.acquire()
    free = ConcurrencyLimiter(1)
    free.acquire()

CALLS = {
    "pop": lambda: ITEMS.pop(timeout=0.1),
    "push": lambda: FULL.push(1, timeout=0.1),
    "permit": LIMITER.acquire,
    "limited": LIMITER(lambda: None),
    "bucket": BUCKET.acquire,
    "keyed": lambda: KEYED.acquire("ann"),
    "set": BOTH.acquire,
    "call": lambda: BREAKER.call(wait),
    "guarded": BREAKER(wait),
    "judged": lambda: JUDGED.call(fail),
    "guarded and judged": JUDGED(fail),
    "on_drop": lambda: DROPPING.try_push(1),
    "refused": refused,
    "dropped": dropped,
}
begun = threading.Semaphore(0)

def work(name):
    begun.release()
    while True:
        try:
            CALLS[name]()
        except TidegateError:
            pass

class End:
    # Comes to its end when the modules are taken apart, after the last moment at which another thread may run.
    def __del__(self, sleep=time.sleep, write=os.write):
        LOCK.release()
        sleep(0.4)
        write(1, b"ended\\n")

def start(names):
    for name in names:
        threading.Thread(target=work, args=(name,), daemon=True).start()
    for name in names:
        begun.acquire()
    time.sleep(0.1)
    sys.at_end = End()
"""


def program(code: str) -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM + code], capture_output=True, text=True, timeout=2 * PATIENCE)
    assert (done.returncode, done.stdout, done.stderr) == (0, "ended\n", "")


def test_rust_calls_python_by_that_one_call_alone() -> None:
    """The invariant of src/python.rs: any other call may be one out of which a thread unwinds."""
    sources = [*(Path(__file__).parents[1] / "src").rglob("*.rs")]
    wrong = [
        f"{path.name}: {line.strip()}"
        for path in sources
        if path.name != "python.rs"
        for line in path.read_text().splitlines()
        if re.search(r"\.call[01]\(|(?<!visit)(?<![A-Z])\.call\([^)]", line) and not line.strip().startswith("//")
    ]
    assert len(sources) > 20 and wrong == []


@pytest.mark.parametrize(
    "call",
    ["pop", "push", "permit", "limited", "bucket", "keyed", "set", "call", "guarded", "judged", "guarded and judged",
     "on_drop", "refused", "dropped"],
)  # fmt: skip
def test_threads_that_wait_do_not_crash_the_end(call: str) -> None:
    program(f"start([{call!r}] * 3)")


def test_a_thread_that_ends_itself_within_a_call_does_not_stop_with_the_gil() -> None:
    code = "import ctypes\nBREAKER.call(ctypes.PyDLL(None).pthread_exit, None)"
    done = subprocess.run([sys.executable, "-c", PROGRAM + code], capture_output=True, timeout=PATIENCE)
    assert done.returncode == -signal.SIGABRT


def test_threads_of_a_forked_child_do_not_crash_its_end() -> None:
    program(
        """
for name in ("pop", "permit", "call"):
    threading.Thread(target=work, args=(name,), daemon=True).start()
    begun.acquire()
warnings.simplefilter("ignore", DeprecationWarning)
child = os.fork()
if not child:
    # HELD is the parent's; this one is what its threads wait for.
    HELD = LIMITER.acquire()
    start(["pop", "push", "permit", "call", "guarded"])
    sys.exit()
_, status = os.waitpid(child, 0)
assert status == 0, status
"""
    )


APP = """
import os, sys, threading, time
from contextlib import asynccontextmanager
from fastapi import FastAPI
from tidegate import *

limiter, items = ConcurrencyLimiter(1, max_wait=0.1), BoundedQueue(1)
held = limiter.acquire()

class End:
    def __del__(self, sleep=time.sleep, write=os.write):
        sleep(0.3)
        write(1, b"ended\\n")

sys.at_end = End()

def again_and_again(work):
    while True:
        try:
            work()
        except (QueueEmptyError, ConcurrencyLimitError):
            pass

@asynccontextmanager
async def lifespan(app):
    for work in (limiter.acquire, lambda: items.pop(timeout=0.1)):
        threading.Thread(target=again_and_again, args=(work,), daemon=True).start()
    yield

app = FastAPI(lifespan=lifespan)

@app.get("/permit")
def permit():
    limiter.acquire(timeout=1)

@app.get("/")
async def waiting():
    return limiter.stats().waiting
"""


def test_a_server_that_is_stopped_while_its_threads_wait(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(APP)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # Ctrl-C as a shell's child gets it, also where the tests run in the background.
    start = "import signal, uvicorn; signal.signal(signal.SIGINT, signal.default_int_handler); "
    start += f"uvicorn.run('shop:app', port={port}, timeout_graceful_shutdown=5)"
    log = tmp_path / "log"
    with log.open("w") as out:
        server = subprocess.Popen([sys.executable, "-c", start], cwd=tmp_path, stdout=out, stderr=out)

    def waiting() -> int:
        try:
            found: int = ask(f"http://127.0.0.1:{port}", "/")[0].json()
        except OSError:
            return -1
        return found

    try:
        wait_until(lambda: waiting() >= 0 or server.poll() is not None)
        client = Thread(lambda: ask(f"http://127.0.0.1:{port}", "/permit"))
        wait_until(lambda: waiting() == 2 or server.poll() is not None)
        server.send_signal(signal.SIGINT)
        server.wait(PATIENCE)
        assert client.finish()[0].status == 500
    finally:
        server.kill()
        server.wait(PATIENCE)
    # 1: the KeyboardInterrupt with which uvicorn hands the signal on.
    assert server.returncode in (0, 1), log.read_text()
    assert log.read_text().endswith("ended\n")
