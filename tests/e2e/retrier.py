"""Holds a probe of `bank`, and waits for a retry that its budget has paid for, until it is killed."""

import threading
import time
from typing import Any

from tidegate import CircuitBreaker, RetryBudget, RetryPolicy

SCOPE = "host:bank"


def objects() -> tuple[CircuitBreaker, RetryBudget]:
    """As retrier.mjs has them."""
    settings: dict[str, Any] = {"consecutive_failures": 1, "cooldown": 0.05, "probes": 1, "probe_timeout": 3600}
    budget = RetryBudget(0, min_per_second=0.5, ttl=4, name="retries", scope=SCOPE)
    return CircuitBreaker("bank", **settings, scope=SCOPE), budget


def lost() -> None:
    raise ConnectionError("the bank hung up")


def main() -> None:
    breaker, budget = objects()
    policy = RetryPolicy(attempts=2, base=3600, max_delay=3600, jitter="none", budget=budget)
    threading.Thread(target=lambda: policy.call(lost), daemon=True).start()
    breaker.acquire().failure()
    while (probe := breaker.try_acquire()) is None:
        time.sleep(0.01)
    while budget.stats().withdrawn == 0:
        time.sleep(0.01)
    print("ready", flush=True)
    time.sleep(3600)
    probe.success()


if __name__ == "__main__":
    main()
