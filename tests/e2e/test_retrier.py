"""A process killed in the wait before a retry, and with a probe: the probe comes back, and the retry counts as made."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable

import pytest
from conftest import expect, wait_until
from retrier import objects

# A retry each two seconds, two saved up.
EVERY, SAVED = 2.0, 2


@pytest.mark.parametrize("script", ["retrier.py", "retrier.mjs"], ids=["python", "node"])
def test_killed_with_a_probe_and_a_withdrawn_retry(start: Callable[..., subprocess.Popen[str]], script: str) -> None:
    breaker, budget = objects()
    assert budget.balance == SAVED
    begun = time.monotonic()
    victim = start(script)
    expect(victim, "ready")
    assert budget.stats().withdrawn == 1, "when it was decided, and not when it is made"
    assert breaker.state == "half_open" and breaker.try_acquire() is None, "the only probe is the other's"
    # Whatever has been saved up again since.
    while budget.try_withdraw():
        pass
    spent, asked, wait = budget.stats().withdrawn, time.monotonic(), budget.retry_after
    assert 0 < wait <= EVERY

    victim.kill()
    victim.wait()
    opened = breaker.stats().opened
    wait_until(lambda: (permit := breaker.try_acquire()) is not None and (permit.success() or True), 5)
    assert breaker.state == "closed" and breaker.stats().opened == opened, "with no further cooldown"

    # What was withdrawn is neither given back nor lost for longer: the next comes when it was to.
    wait_until(budget.try_withdraw)
    now = time.monotonic()
    assert now - asked >= wait - 0.01
    assert budget.stats().withdrawn == spent + 1 <= SAVED + (now - begun) / EVERY
    time.sleep(SAVED * EVERY)
    assert budget.balance == SAVED, "all is saved up again"
