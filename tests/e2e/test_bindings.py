"""What one language makes, the other uses: the same keys, words, states, permits and errors."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from conftest import expect, say
from tidegate import CircuitBreaker, ConcurrencyLimiter, LoadShedder, RateLimiter, TokenBucket
from tidegate.metrics import Metrics

SCOPE = "host:bindings"
SAME_KEY = Path(os.environ["TIDEGATE_E2E_RUST"])


def test_a_rust_program_counts_the_same_keys(arenas: Path) -> None:
    """Built for this very machine, as the wheel is not: a key's place must not hang on how a program was built."""

    def rust(*keys: str) -> list[str]:
        return subprocess.check_output([SAME_KEY, *keys], text=True).splitlines()

    short, long = "käse", "2001:db8:1:2::/64 and an agent's name that is longer than a word"
    assert rust(short) == [f"{short}: admitted, 2 left"]
    limiter = RateLimiter("3/hour", max_keys=1000, scope="host:same-key", name="users")
    assert limiter.check(short).remaining == 1 and limiter.check(long).remaining == 2
    said = [f"{short}: admitted, 0 left", f"{long}: admitted, 1 left", f"{short}: denied, 0 left"]
    assert rust(short, long, short) == said
    assert not limiter.try_acquire(short) and limiter.peek(long).remaining == 1


def test_node_uses_what_python_made(start: Callable[..., subprocess.Popen[str]]) -> None:
    bucket = TokenBucket("1/hour", burst=10, scope=SCOPE, name="bucket")
    limiter = RateLimiter("3/hour", scope=SCOPE, name="limiter", max_keys=1000)
    breaker = CircuitBreaker("breaker", scope=SCOPE)
    permits = ConcurrencyLimiter(2, scope=SCOPE, name="permits")
    shedder = LoadShedder(["loop_lag", "queue_delay"], scope=SCOPE, name="shedder")
    node = start("bindings.mjs")
    expect(node, "ready")

    def ask(command: str) -> str:
        say(node, command)
        return expect(node, ">")

    assert bucket.try_acquire(9)
    assert ask("take") == "true" and ask("take") == "false" and not bucket.try_acquire()
    # A key is its UTF-8 in both.
    assert limiter.try_acquire("käse\U0001f9c0")
    assert ask("key") == "1"
    assert ask("open") == "opened" and breaker.state == "forced_open"
    assert ask("hold") == "true" and permits.in_use == 1
    mine = permits.try_acquire()
    assert mine and ask("hold") == "false"
    assert ask("quota") == "set" and bucket.burst == 5
    # The runtime quota is nobody's declaration: who declares what was declared before, opens it as it is.
    assert TokenBucket("1/hour", burst=10, scope=SCOPE, name="bucket").burst == 5
    conflict = ask("conflict")
    assert conflict.startswith("ArenaError settings:") and "1 per" in conflict and "2 per" in conflict, conflict
    shape = ask("shape")
    assert shape.startswith("ArenaError shape:") and "token bucket" in shape and "rate limiter" in shape, shape

    # The same signals, and one page of figures.
    assert shedder.admit() and ask("shed") == "true" and shedder.stats().admitted == 2
    assert json.loads(ask("figures")) == Metrics(scope=SCOPE).families()

    node.kill()
    node.wait()
    time.sleep(0.011)
    # The first denial 10 ms or more after its death brings its permit back.
    again = permits.try_acquire()
    assert again and permits.try_acquire() is None
    assert permits.stats().reclaimed == 1
    mine.release(), again.release()
