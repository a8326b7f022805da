"""Reloads while processes of both languages serve: no call fails for one, no policy's rate is exceeded, state stays."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from typing import TypeAlias

import pytest
from conftest import expect, say
from tidegate import ConcurrencyLimiter, LoadShedder, Policy, PolicyError, TokenBucket

Start: TypeAlias = Callable[..., subprocess.Popen[str]]
RELOADS = int(os.environ.get("TIDEGATE_RELOADS", "500"))
# Of the two policies the one that lets more through.
FAST, BURST = 3_000, 500


def text(rate: int) -> str:
    live = 0.25 if rate == FAST else 0.5
    return f"""
version = 1
scope = "host:reloads"
[limits]
everyone = {{ rate = "{rate}/s", burst = {BURST} }}
client = {{ rate = "{rate + 7}/s", burst = {BURST}, key = "user", max_keys = 100, fastest = "10000/s" }}
once = {{ rate = "1/day", burst = 1000 }}
[concurrency]
database = {{ limit = {rate // 50}, max_limit = 100, partitions = {{ live = {live}, batch = {1 - live} }} }}
[shedders]
main = {{ signals = {{ gauge = {{ backlog = [{rate}, {rate + 1}] }} }} }}
[breakers]
payment = {{ cooldown = "{rate}ms", window_calls = {rate // 50} }}
mail = {{ cooldown = "{rate}ms" }}
[gates.orders]
use = {{ limits = ["client", "everyone"], concurrency = "database", shedder = "main", dependencies = ["payment"] }}
"""


@pytest.mark.parametrize("scripts", [["reloads.py", "reloads.mjs"] * 2], ids=["mixed"])
def test_nobody_is_hurt_by_reloads(start: Start, scripts: list[str]) -> None:
    policy = Policy.parse(text(2_000))
    everyone, once, database = policy.limit("everyone"), policy.limit("once"), policy.concurrency("database")
    assert isinstance(everyone, TokenBucket) and isinstance(once, TokenBucket)
    assert isinstance(database, ConcurrencyLimiter) and isinstance(policy.shedder("main"), LoadShedder)
    policy.breaker("mail").force_open()
    assert once.try_acquire(700)
    workers = [start(script, text(2_000)) for script in scripts]
    for worker in workers:
        expect(worker, "ready")
    begun = time.monotonic()
    for worker in workers:
        say(worker, "go")
    wrong = text(FAST).replace("max_keys = 100", "max_keys = 200")
    for turn in range(RELOADS):
        policy.reload(text(FAST if turn % 2 == 0 else 2_000))
        if turn % 100 == 0:
            with pytest.raises(PolicyError, match="max_keys"):
                policy.reload(wrong)
    for worker in workers:
        say(worker, "stop")
    answers = [expect(worker, "done").split() for worker in workers]
    taken = time.monotonic() - begun
    admitted = sum(int(answer[0]) for answer in answers)
    print(f"{RELOADS} reloads in {taken:.1f} s, {admitted} calls admitted: {answers}")
    assert [answer[2] for answer in answers] == ["0"] * len(scripts), "no call fails for a reload"
    assert [answer[3] for answer in answers] == ["forced_open"] * len(scripts)
    # Both limits of whichever policy was in force let at most so many through.
    assert 0 < admitted <= BURST + FAST * taken, (admitted, taken)
    assert everyone.stats().admitted >= admitted
    assert once.peek().remaining == 300, "its level stays"
    assert database.in_use == 0 and policy.generation == RELOADS and policy.failed_reloads == -(-RELOADS // 100)
    in_force = policy.in_force
    assert in_force is not None and in_force == (policy.hash, RELOADS + 1)
