"""The shared vectors: the same steps, on injected time, that every binding of tidegate is held to."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tidegate import (
    AccessList,
    Block,
    BoundedQueue,
    BreakerRegistry,
    CircuitBreaker,
    CircuitOpenError,
    ClientThrottle,
    ConcurrencyLimiter,
    Gate,
    LimitSet,
    LoadShedder,
    ManualClock,
    Permit,
    QueueClosedError,
    RateLimiter,
    RetryBudget,
    Signal,
    TokenBucket,
)
from tidegate._tidegate import Schedule

VECTORS = Path(__file__).resolve().parents[2] / "tests" / "vectors"


def cases(primitive: str) -> list[Any]:
    document = json.loads((VECTORS / f"{primitive}.json").read_text())
    assert document["version"] == 1 and document["primitive"] == primitive and document["cases"]
    return [pytest.param(case, id=case["name"]) for case in document["cases"]]


def seconds(ns: str | None) -> float | None:
    """An argument or an answer in nanoseconds as Python has it."""
    if ns is None:
        return None
    return math.inf if ns == "never" else int(ns) / 1e9


def start(case: dict[str, Any]) -> ManualClock:
    return ManualClock(int(case["start_ns"]))


def check_steps(case: dict[str, Any], clock: ManualClock, ops: Any) -> None:
    for number, step in enumerate(case["steps"]):
        clock.set_ns(int(step["at_ns"]))
        answer = getattr(ops, step["op"])(**{{"as": "into"}.get(k, k): v for k, v in step["args"].items()})
        assert (answer or {}) == expected(step["expect"]), f"step {number}: {step}\n{case['why']}"


def expected(expect: dict[str, Any]) -> dict[str, Any]:
    return {key: seconds(value) if key.endswith("_ns") else value for key, value in expect.items()}


class BucketOps:
    def __init__(self, config: dict[str, Any], clock: ManualClock) -> None:
        period = int(config["period_ns"]) / 1e9
        self.bucket = TokenBucket(config["count"], period, config["burst"], clock=clock)
        self.bookings: dict[str, Any] = {}

    def try_acquire(self, n: int) -> dict[str, Any]:
        return {"ok": self.bucket.try_acquire(n)}

    def check(self, n: int) -> dict[str, Any]:
        return decision(self.bucket.check(n))

    def peek(self) -> dict[str, Any]:
        return decision(self.bucket.peek())

    def reserve(self, n: int, max_wait_ns: str | None, into: str | None = None) -> dict[str, Any]:
        booking = self.bucket.reserve(n, seconds(max_wait_ns))
        if not booking:
            return {"booked": False, "retry_after_ns": booking.retry_after}
        if into is not None:
            self.bookings[into] = booking
        return {"booked": True, "wait_ns": booking.wait}

    def cancel(self, ticket: str) -> dict[str, Any]:
        return {"returned": self.bookings[ticket].cancel()}

    def refund(self, n: int) -> None:
        self.bucket.refund(n)

    def penalize(self, wait_ns: str) -> None:
        self.bucket.penalize(seconds(wait_ns))

    def reset(self) -> None:
        self.bucket.reset()

    def set_quota(self, count: int, period_ns: str, burst: int) -> None:
        self.bucket.set_quota(count, int(period_ns) / 1e9, burst)


def decision(answer: Any) -> dict[str, Any]:
    return {
        "allowed": answer.allowed,
        "limit": answer.limit,
        "remaining": answer.remaining,
        "retry_after_ns": answer.retry_after,
        "reset_after_ns": answer.reset_after,
    }


def key_of(key: Any) -> Any:
    """A key as the vectors write it."""
    if isinstance(key, str):
        return key
    return bytes.fromhex(key["hex"]) if "hex" in key else key["repeat"] * key["times"]


def timed(answer: Any) -> dict[str, Any]:
    return {**decision(answer), "delay_ns": answer.delay}


def rate(algorithm: str, count: int, period_ns: str, burst: int) -> dict[str, Any]:
    """A quota as keyed limits take it: windows have no burst, and a leaky bucket a queue."""
    given: dict[str, Any] = {"rate": count, "per": int(period_ns) / 1e9}
    if algorithm == "token_bucket":
        given["burst"] = burst
    elif algorithm == "leaky_bucket":
        given["queue"] = burst - 1
    else:
        assert burst == count
    return given


def limiter(config: dict[str, Any], clock: ManualClock) -> RateLimiter:
    algorithm, fastest, block, ramp = (config[name] for name in ("algorithm", "fastest", "block", "warm_up"))
    options: dict[str, Any] = rate(algorithm, config["count"], config["period_ns"], config["burst"])
    if fastest:
        options["fastest"] = (f"{fastest['count']} per {fastest['period_ns']} ns", fastest["burst"])
    if block:
        times = [seconds(block[name]) for name in ("within_ns", "duration_ns", "max_ns")]
        after, growth = block["after"], block["growth"]
        options["block"] = Block(after, times[0], times[1], growth, times[2])  # type: ignore[arg-type]
    if ramp:
        options |= {"warm_up": seconds(ramp["period_ns"]), "warm_up_from": ramp["from"]}
    options |= {"enabled": config["mode"] != "disabled", "dry_run": config["mode"] == "dry_run"}
    return RateLimiter(**options, algorithm=algorithm, max_keys=config["max_keys"], clock=clock)


class LimiterOps:
    def __init__(self, config: dict[str, Any], clock: ManualClock) -> None:
        self.limiter = limiter(config, clock)

    def tier(self, tier: dict[str, Any] | None) -> Any:
        return None if tier is None else self.limiter.tier(**rate(self.limiter.algorithm, **tier))

    def try_acquire(self, key: Any, n: int, tier: Any = None) -> dict[str, Any]:
        return {"ok": self.limiter.try_acquire(key_of(key), n, self.tier(tier))}

    def check(self, key: Any, n: int, tier: Any = None) -> dict[str, Any]:
        return timed(self.limiter.check(key_of(key), n, self.tier(tier)))

    def peek(self, key: Any, tier: Any = None) -> dict[str, Any]:
        return timed(self.limiter.peek(key_of(key), self.tier(tier)))

    def refund(self, key: Any, n: int, tier: Any = None) -> None:
        self.limiter.refund(key_of(key), n, self.tier(tier))

    def penalize(self, key: Any, wait_ns: str) -> None:
        self.limiter.penalize(key_of(key), int(wait_ns) / 1e9)

    def reset(self, key: Any) -> None:
        self.limiter.reset(key_of(key))

    def reset_all(self) -> None:
        self.limiter.reset_all()

    def set_quota(self, count: int, period_ns: str, burst: int) -> None:
        self.limiter.set_quota(**rate(self.limiter.algorithm, count, period_ns, burst))

    def stats(self) -> dict[str, Any]:
        stats = self.limiter.stats()
        return {"admitted": stats.admitted, "denied": stats.denied, "would_deny": stats.would_deny}


class SetOps:
    def __init__(self, config: dict[str, Any], clock: ManualClock) -> None:
        self.members: dict[str, Any] = {}
        for member in config["members"]:
            if "same_as" in member:
                made = self.members[member["same_as"]]
            elif "bucket" in member:
                made = BucketOps(member["bucket"], clock).bucket
            else:
                made = limiter(member["limiter"], clock)
            self.members[member["name"]] = made
        self.set = LimitSet(self.members)

    def check(self, keys: Any, n: int) -> dict[str, Any]:
        answer = self.set.check({name: key_of(key) for name, key in keys.items()}, n=n)
        return {**timed(answer), "denied_by": answer.denied_by}

    def peek(self, keys: Any, n: int) -> dict[str, Any]:
        answer = self.set.peek({name: key_of(key) for name, key in keys.items()}, n=n)
        return {**timed(answer), "denied_by": answer.denied_by}

    def refund(self, keys: Any, n: int) -> None:
        self.set.refund({name: key_of(key) for name, key in keys.items()}, n=n)

    def peek_member(self, member: str, key: Any) -> dict[str, Any]:
        limit = self.members[member]
        return timed(limit.peek() if key is None else limit.peek(key_of(key)))

    def penalize_member(self, member: str, key: Any, wait_ns: str) -> None:
        wait = int(wait_ns) / 1e9
        limit = self.members[member]
        limit.penalize(wait) if key is None else limit.penalize(key_of(key), wait)


def trip(it: Any) -> dict[str, int] | None:
    return it and {"calls": it.calls, "failed": it.failed, "slow": it.slow}


class BreakerOps:
    def __init__(self, config: dict[str, Any], clock: ManualClock) -> None:
        self.breaker = CircuitBreaker("vector", clock=clock, **self.settings(config))
        self.permits: dict[str, Any] = {}
        # A permit that is dropped is released, which is no step of the vector: all are kept.
        self.kept: list[Any] = []

    @staticmethod
    def settings(config: dict[str, Any]) -> dict[str, Any]:
        names = {key: key.removesuffix("_ns") for key in config}
        return {names[key]: seconds(v) if key.endswith("_ns") else v for key, v in config.items()}

    def set_config(self, **config: Any) -> None:
        self.breaker.set_config(**self.settings(config))

    def acquire(self, into: str) -> dict[str, Any]:
        return self.granted(into, self.breaker.acquire)

    def acquire_with(self, into: str, draw: float) -> dict[str, Any]:
        return self.granted(into, lambda: self.breaker.acquire_with(draw))

    def granted(self, into: str, acquire: Callable[[], Permit]) -> dict[str, Any]:
        try:
            permit = acquire()
        except CircuitOpenError as refusal:
            ramping = {"ramping": True} if refusal.ramping else {}
            return {"permit": False, "retry_after_ns": refusal.retry_after, "trip": trip(refusal.trip), **ramping}
        self.kept.append(permit)
        self.permits[into] = permit
        return {"permit": True}

    def report(self, permit: str, outcome: str, duration_ns: str | None, retry_after_ns: str | None = None) -> None:
        if outcome == "ignore":
            self.permits[permit].ignore()
        elif retry_after_ns is not None:
            self.permits[permit].failure(seconds(duration_ns), seconds(retry_after_ns))
        else:
            getattr(self.permits[permit], outcome)(seconds(duration_ns))

    def report_retry_after(self, permit: str, retry_after_ns: str) -> None:
        self.permits[permit].failure(retry_after=seconds(retry_after_ns))

    def release(self, permit: str) -> None:
        self.permits[permit].release()

    def state(self) -> dict[str, Any]:
        return {"state": self.breaker.state}

    def stats(self) -> dict[str, Any]:
        stats = self.breaker.stats()
        last = trip(stats.last_trip)
        ramping = {"ramping": True} if stats.ramping else {}
        return {"calls": stats.calls, "failed": stats.failed, "slow": stats.slow, "last_trip": last, **ramping}

    def retry_after(self) -> dict[str, Any]:
        return {"retry_after_ns": self.breaker.retry_after}

    def events(self, since: int) -> dict[str, Any]:
        return {
            "events": [
                # A kind's name is a text of its own, and a moment is of whole milliseconds.
                {"seq": it.seq, "kind": it.kind, "at_ns": str(round(it.at * 1e3) * 1_000_000), "trip": trip(it.trip)}
                for it in self.breaker.events(since)
            ]
        }

    def force_open(self) -> None:
        self.breaker.force_open()

    def disable(self) -> None:
        self.breaker.disable()

    def metrics_only(self) -> None:
        self.breaker.metrics_only()

    def reset(self) -> None:
        self.breaker.reset()


class RegistryOps:
    def __init__(self, config: dict[str, Any], clock: ManualClock) -> None:
        settings = BreakerOps.settings({name: value for name, value in config.items() if name != "overrides"})
        overrides = {it["pattern"]: {"cooldown": seconds(it["cooldown_ns"])} for it in config["overrides"]}
        self.registry = BreakerRegistry(**settings, overrides=overrides, clock=clock)
        self.held: dict[str, CircuitBreaker] = {}
        self.permits: dict[str, Permit] = {}

    @staticmethod
    def asked(breaker: CircuitBreaker, use: Callable[[Permit], object]) -> dict[str, Any]:
        try:
            use(breaker.acquire())
        except CircuitOpenError as refusal:
            return {"permit": False, "retry_after_ns": refusal.retry_after}
        return {"permit": True}

    def call(self, key: str, failed: bool) -> dict[str, Any]:
        return self.asked(self.registry.get(key), lambda permit: self.end(permit, failed))

    @staticmethod
    def end(permit: Permit, failed: bool) -> None:
        if failed:
            permit.failure()
        else:
            permit.success()

    def hold(self, key: str, into: str) -> dict[str, Any]:
        self.held[into] = self.registry.get(key)
        assert (self.held[into] is self.registry.overflow) == (self.held[into].name == "(overflow)")
        return {"breaker": self.held[into].name}

    def call_held(self, held: str, failed: bool) -> dict[str, Any]:
        return self.asked(self.held[held], lambda permit: self.end(permit, failed))

    def acquire_held(self, held: str, into: str) -> dict[str, Any]:
        return self.asked(self.held[held], lambda permit: self.permits.__setitem__(into, permit))

    def report(self, permit: str, failed: bool) -> None:
        self.end(self.permits[permit], failed)

    def peek(self, key: str) -> dict[str, Any]:
        found = self.registry.peek(key)
        assert (key in self.registry) == (found is not None)
        return {"state": found and found.state}

    def remove(self, key: str) -> dict[str, Any]:
        return {"removed": self.registry.remove(key)}

    def force_open(self, key: str) -> None:
        self.registry.get(key).force_open()

    def reset(self, key: str) -> None:
        self.registry.get(key).reset()

    def set_config(self, pattern: str, cooldown_ns: str | None, consecutive_failures: int | None) -> None:
        changes: dict[str, Any] = {}
        if cooldown_ns is not None:
            changes["cooldown"] = seconds(cooldown_ns)
        if consecutive_failures is not None:
            changes["consecutive_failures"] = consecutive_failures
        self.registry.set_config(pattern, **changes)

    def items(self) -> dict[str, Any]:
        items = self.registry.items()
        assert all(self.registry.get(key) is breaker for key, breaker in items if len(key) <= 256)
        return {"keys": [key for key, _ in items]}

    def stats(self) -> dict[str, Any]:
        stats = self.registry.stats()
        assert len(self.registry) == stats.breakers
        return {"breakers": stats.breakers, "evicted": stats.evicted, "overflowed": stats.overflowed}


class ConcurrencyOps:
    """Time plays no part in these vectors. Who waits is a task, without a timeout."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.limiter = ConcurrencyLimiter(**config)
        self.loop = asyncio.new_event_loop()
        self.tasks: dict[str, asyncio.Task[Any]] = {}
        # A permit that is dropped gives itself back, which is no step of the vector: all are kept.
        self.permits: dict[str, Any] = {}

    def try_acquire(self, into: str) -> dict[str, Any]:
        permit = self.limiter.try_acquire()
        self.permits[into] = permit
        return {"permit": permit is not None}

    def release(self, permit: str) -> dict[str, Any]:
        return {"released": self.permits[permit].release()}

    def turn(self) -> None:
        """Lets every task go on as far as it can."""
        for _ in range(5):
            self.loop.run_until_complete(asyncio.sleep(0))

    def wait(self, into: str) -> dict[str, Any]:
        task = self.tasks[into] = self.loop.create_task(self.limiter.acquire_async(None))
        self.turn()
        return {"waits": not task.done() or task.exception() is None}

    def take(self, waiter: str, into: str) -> dict[str, Any]:
        self.turn()
        task = self.tasks[waiter]
        if task.done():
            self.permits[into] = task.result()
        return {"permit": task.done()}

    def give_up(self, waiter: str) -> None:
        self.tasks[waiter].cancel()
        self.turn()

    def end(self) -> None:
        for task in self.tasks.values():
            task.cancel()
        with contextlib.closing(self.loop):
            self.turn()
        for permit in filter(None, self.permits.values()):
            permit.release()

    def in_use(self) -> dict[str, Any]:
        return {"in_use": self.limiter.in_use}

    def limit(self) -> dict[str, Any]:
        return {"limit": self.limiter.limit}

    def set_limit(self, limit: int) -> None:
        self.limiter.set_limit(limit)

    def stats(self) -> dict[str, Any]:
        stats = self.limiter.stats()
        return {name: getattr(stats, name) for name in ("limit", "in_use", "admitted", "denied", "would_deny")}


class AdaptiveOps(ConcurrencyOps):
    def __init__(self, config: dict[str, Any], clock: ManualClock) -> None:
        self.limiter = ConcurrencyLimiter.adaptive(**in_seconds(config), clock=clock)
        self.permits, self.tasks, self.loop = {}, {}, asyncio.new_event_loop()

    def report(self, permit: str, outcome: str, latency_ns: str | None) -> dict[str, Any]:
        held = self.permits[permit]
        if outcome == "ignore":
            return {"released": held.ignore()}
        report = {"success": held.success, "dropped": held.dropped}[outcome]
        return {"released": report(latency=seconds(latency_ns))}

    def limit(self) -> dict[str, Any]:
        return {"limit": self.limiter.limit, "in_use": self.limiter.in_use}


def partitioned(limit: int, shares: Any, first: list[str], clock: ManualClock) -> ConcurrencyLimiter:
    limits = {"min_limit": limit, "initial_limit": limit, "max_limit": limit}
    return ConcurrencyLimiter.adaptive(**limits, partitions=dict(shares), priority=first, clock=clock)


class PartitionedOps(ConcurrencyOps):
    """A limit that follows what calls report has a clock to set; this one stays where it is."""

    def __init__(self, config: dict[str, Any], clock: ManualClock) -> None:
        self.limiter = partitioned(config["limit"], config["partitions"], config["priority"], clock)
        self.permits, self.tasks, self.loop = {}, {}, asyncio.new_event_loop()

    def try_acquire(self, into: str, partition: str | None = None) -> dict[str, Any]:
        permit = self.limiter.try_acquire(partition)
        self.permits[into] = permit
        return {"permit": permit is not None}

    def partition(self, partition: str) -> dict[str, Any]:
        now = self.limiter.partition_stats()[partition]
        names = ("guaranteed", "in_use", "called_back", "admitted", "denied")
        return {name: getattr(now, name) for name in names}


class QueueOps:
    def __init__(self, config: dict[str, Any], clock: ManualClock) -> None:
        self.drops: list[dict[str, Any]] = []
        rules = config.get("rules") or {}
        settings = {name: value for name, value in config.items() if name != "rules"}
        for name, it in rules.items():
            settings[name.removesuffix("_ns")] = seconds(it) if name.endswith("_ns") else it
        self.queue: BoundedQueue[int] = BoundedQueue(
            **settings, on_drop=lambda item, reason: self.drops.append({"item": item, "reason": reason}), clock=clock
        )
        self.timed = config["sojourn"]

    def try_push(self, item: int) -> dict[str, Any]:
        return self.try_push_with(item, None, None)

    def try_push_with(self, item: int, lane: int | None, deadline_ns: str | None) -> dict[str, Any]:
        deadline = seconds(deadline_ns)
        try:
            result = "ok" if self.queue.try_push(item, lane=lane, deadline=deadline) else "full"
        except QueueClosedError:
            result = "closed"
        drops = self.dropped().get("drops", [])
        assert all(drop["reason"] == "oldest" for drop in drops)
        return {"result": result, "dropped": drops[0]["item"] if drops else None}

    def try_pop(self) -> dict[str, Any]:
        try:
            popped = self.queue.try_pop_timed()
        except QueueClosedError:
            return {"result": "closed", "item": None, **self.dropped()}
        if popped is None:
            return {"result": "empty", "item": None, **self.dropped()}
        answer: dict[str, Any] = {"result": "item", "item": popped[0], **self.dropped()}
        if self.timed:
            answer["sojourn_ns"] = popped[1]
        return answer

    def dropped(self) -> dict[str, Any]:
        drops, self.drops = self.drops, []
        return {"drops": drops} if drops else {}

    def load(self) -> dict[str, Any]:
        stats = self.queue.stats()
        assert (stats.least_delay, stats.overloaded) == (self.queue.least_delay, self.queue.is_overloaded)
        return {"least_delay_ns": stats.least_delay, "overloaded": stats.overloaded}

    def counts(self) -> dict[str, Any]:
        stats = self.queue.stats()
        assert stats.pushed == stats.popped + stats.dropped + stats.depth
        reasons = ("oldest", "age", "codel", "deadline", "closed")
        return {"popped": stats.popped, **{reason: getattr(stats, f"dropped_{reason}") for reason in reasons}}

    def discard(self) -> dict[str, Any]:
        count = self.queue.discard()
        drops = self.dropped().get("drops", [])
        assert len(drops) == count
        return {"drops": drops}

    def depth(self) -> dict[str, Any]:
        return {"depth": self.queue.depth}

    def is_accepting(self) -> dict[str, Any]:
        return {"accepting": self.queue.is_accepting}

    def close(self) -> None:
        self.queue.close()

    def drain(self) -> dict[str, Any]:
        return {"items": self.queue.drain()}


@pytest.mark.parametrize("case", cases("token_bucket"))
def test_token_bucket(case: dict[str, Any]) -> None:
    clock = start(case)
    check_steps(case, clock, BucketOps(case["config"], clock))


@pytest.mark.parametrize("case", cases("circuit_breaker"))
def test_circuit_breaker(case: dict[str, Any]) -> None:
    clock = start(case)
    check_steps(case, clock, BreakerOps(case["config"], clock))


@pytest.mark.parametrize("case", cases("breaker_registry"))
def test_breaker_registry(case: dict[str, Any]) -> None:
    clock = start(case)
    check_steps(case, clock, RegistryOps(case["config"], clock))


@pytest.mark.parametrize("case", cases("bounded_queue"))
def test_bounded_queue(case: dict[str, Any]) -> None:
    clock = start(case)
    check_steps(case, clock, QueueOps(case["config"], clock))


@pytest.mark.parametrize("case", cases("concurrency_limiter"))
def test_concurrency_limiter(case: dict[str, Any]) -> None:
    ops = ConcurrencyOps(case["config"])
    try:
        check_steps(case, start(case), ops)
    finally:
        ops.end()


@pytest.mark.parametrize("case", cases("adaptive_limiter"))
def test_adaptive_limiter(case: dict[str, Any]) -> None:
    clock = start(case)
    ops = AdaptiveOps(case["config"], clock)
    try:
        check_steps(case, clock, ops)
    finally:
        ops.end()


@pytest.mark.parametrize("case", cases("partitioned_limiter"))
def test_partitioned_limiter(case: dict[str, Any]) -> None:
    clock = start(case)
    ops = PartitionedOps(case["config"], clock)
    try:
        check_steps(case, clock, ops)
    finally:
        ops.end()


@pytest.mark.parametrize("case", cases("rate_limiter"))
def test_rate_limiter(case: dict[str, Any]) -> None:
    clock = start(case)
    check_steps(case, clock, LimiterOps(case["config"], clock))


@pytest.mark.parametrize("case", cases("limit_set"))
def test_limit_set(case: dict[str, Any]) -> None:
    clock = start(case)
    check_steps(case, clock, SetOps(case["config"], clock))


def in_seconds(config: dict[str, Any]) -> dict[str, Any]:
    """Settings under their names in Python."""
    return {
        name.removesuffix("_ns"): seconds(value) if name.endswith("_ns") else value for name, value in config.items()
    }


class RetryOps:
    def __init__(self, config: dict[str, Any]) -> None:
        settings = in_seconds(config)
        self.schedule = Schedule(**settings)
        self.previous = 0.0

    def delay(self, n: int, draw: float) -> dict[str, Any]:
        wait, self.previous = self.schedule.delay(n, self.previous, draw)
        return {"delay_ns": wait}

    def failed(self, attempts: int, draw: float, retry_after_ns: str | None, elapsed_ns: str) -> dict[str, Any]:
        told, elapsed = seconds(retry_after_ns) or 0.0, seconds(elapsed_ns)
        assert elapsed is not None
        wait, self.previous = self.schedule.next(attempts, self.previous, told, elapsed, draw)
        if wait is not None:
            return {"wait_ns": wait}
        last = self.schedule.attempts
        return {"gave_up": "attempts" if attempts >= (2**32 - 1 if last is None else last) else "deadline"}


@pytest.mark.parametrize("case", cases("retry_policy"))
def test_retry_policy(case: dict[str, Any]) -> None:
    check_steps(case, start(case), RetryOps(case["config"]))


class BudgetOps:
    def __init__(self, config: dict[str, Any], clock: ManualClock) -> None:
        self.budget = RetryBudget(
            config["ratio"],
            config["min_per_second"],
            seconds(config["ttl_ns"]),
            enabled=config["enabled"],
            dry_run=config["dry_run"],
            clock=clock,
        )

    def deposit(self) -> None:
        self.budget.deposit()

    def try_withdraw(self) -> dict[str, Any]:
        return {"ok": self.budget.try_withdraw()}

    def balance(self) -> dict[str, Any]:
        return {"balance": self.budget.balance}

    def retry_after(self) -> dict[str, Any]:
        return {"retry_after_ns": self.budget.retry_after}

    def stats(self) -> dict[str, Any]:
        stats = self.budget.stats()
        return {name: getattr(stats, name) for name in ("deposited", "withdrawn", "denied", "would_deny")}


@pytest.mark.parametrize("case", cases("retry_budget"))
def test_retry_budget(case: dict[str, Any]) -> None:
    clock = start(case)
    check_steps(case, clock, BudgetOps(case["config"], clock))


class ThrottleOps:
    def __init__(self, config: dict[str, Any], clock: ManualClock) -> None:
        self.throttle = ClientThrottle(**in_seconds(config), clock=clock)

    def try_acquire(self, draw: float) -> dict[str, Any]:
        return {"ok": self.throttle._try_acquire(draw)}

    def report(self, accepted: bool) -> None:
        (self.throttle.accepted if accepted else self.throttle.refused)()

    def probability(self) -> dict[str, Any]:
        return {"probability": self.throttle.probability}

    def retry_after(self) -> dict[str, Any]:
        return {"retry_after_ns": self.throttle.retry_after}

    def stats(self) -> dict[str, Any]:
        stats = self.throttle.stats()
        names = ("accepted", "refused", "rejected", "would_reject", "forced", "window_requests", "window_accepts")
        return {name: getattr(stats, name) for name in names}


@pytest.mark.parametrize("case", cases("client_throttle"))
def test_client_throttle(case: dict[str, Any]) -> None:
    clock = start(case)
    check_steps(case, clock, ThrottleOps(case["config"], clock))


class ShedderOps:
    def __init__(self, config: dict[str, Any], clock: ManualClock) -> None:
        signals = [Signal("gauge", name=it["name"], start=it["start"], full=it["full"]) for it in config["signals"]]
        rest = {name: value for name, value in config.items() if name != "signals"}
        self.shedder = LoadShedder(signals, **in_seconds(rest), clock=clock)

    def admit(self, priority: Any, level: int, draw: float) -> dict[str, Any]:
        return {"ok": self.shedder._admit(priority, level, draw)}

    def check(self, priority: Any, level: int, draw: float) -> dict[str, Any]:
        shed = self.shedder._check(priority, level, draw)
        told = {name: getattr(shed, name) for name in ("allowed", "signal", "pressure")}
        return {**told, "retry_after_ns": shed.retry_after}

    def tell(self, signal: str, value: float) -> None:
        self.shedder.tell(signal, value)

    def sample(self) -> None:
        self.shedder.sample()

    def pressure(self) -> dict[str, Any]:
        return {"pressure": self.shedder.pressure}

    def stats(self) -> dict[str, Any]:
        stats = self.shedder.stats()
        shed = [stats.shed_critical, stats.shed_high, stats.shed_normal, stats.shed_sheddable]
        return {"admitted": stats.admitted, "shed": shed, "would_shed": stats.would_shed}


@pytest.mark.parametrize("case", cases("load_shedder"))
def test_load_shedder(case: dict[str, Any]) -> None:
    clock = start(case)
    check_steps(case, clock, ShedderOps(case["config"], clock))


class GateOps:
    def __init__(self, config: dict[str, Any], clock: ManualClock) -> None:
        limits, shedder, access = config["limits"], config["shedder"], config["access"]
        self.limits = SetOps(limits, clock) if limits else None
        self.shedder = ShedderOps(shedder, clock).shedder if shedder else None
        self.queue = self.concurrency = None
        if config["queue"] is not None:
            self.queue = BoundedQueue(config["queue"], high_watermark=1.0, clock=clock)
        if config["concurrency"] is not None:
            self.concurrency = ConcurrencyLimiter(config["concurrency"])
        if partitions := config.get("partitions"):
            self.concurrency = partitioned(config["concurrency"], partitions, [], clock)
            assert list(self.concurrency.partition_stats()) == [name for name, _ in partitions]
        self.breakers = {it["name"]: BreakerOps(it["breaker"], clock) for it in config["dependencies"]}
        self.gate = Gate(
            "orders",
            limits=self.limits and self.limits.set,
            concurrency=self.concurrency and {"database": self.concurrency},
            shedder=self.shedder and {"main": self.shedder},
            queue=None if self.queue is None else {"jobs": self.queue},
            dependencies={name: it.breaker for name, it in self.breakers.items()},
            access=access and AccessList(access["allow"], access["deny"]),
            refund_on=config["refund_on"],
            enabled=config["enabled"],
            dry_run=config["dry_run"],
        )
        self.held: dict[str, Any] = {}
        # One that is dropped gives back what it holds, which is no step of the vector: all are kept.
        self.kept: list[Any] = []

    def admit(self, into: str, keys: Any, deadline_ns: str | None, dependencies: list[str], **rest: Any) -> Any:
        asked = {name: key_of(key) for name, key in keys.items()} if self.limits else {}
        told = self.gate.admit(asked, deadline=seconds(deadline_ns), dependencies=tuple(dependencies), **rest)
        if told:
            self.held[into] = told
            self.kept.append(told)
        named = ("allowed", "denied_by", "kind", "status", "limit", "remaining", "pressure")
        return {**{name: getattr(told, name) for name in named}, "retry_after_ns": told.retry_after}

    def finish(self, admission: str, outcome: Any) -> Any:
        return {"finished": self.held[admission].finish(outcome)}

    def enter(self, admission: str, dependency: str, into: str) -> Any:
        assert admission in self.held
        return {"permit": self.breakers[dependency].acquire(into)["permit"]}

    def report(self, permit: str, dependency: str, failed: bool) -> None:
        self.breakers[dependency].report(permit, "failure" if failed else "success", None)

    def force_open(self, dependency: str) -> None:
        self.breakers[dependency].breaker.force_open()

    def push(self) -> None:
        assert self.queue is not None
        self.queue.try_push(0)

    def pop(self) -> None:
        assert self.queue is not None
        self.queue.try_pop()

    def tell(self, signal: str, value: float) -> None:
        assert self.shedder is not None
        self.shedder.tell(signal, value)

    def set_limit(self, limit: int) -> None:
        assert self.concurrency is not None
        self.concurrency.set_limit(limit)

    def look(self, keys: Any) -> Any:
        members = self.limits.members if self.limits else {}
        peeked = {
            name: it.peek(key_of(keys[name])) if isinstance(it, RateLimiter) else it.peek()
            for name, it in members.items()
        }
        return {
            "left": {name: it.remaining for name, it in peeked.items()},
            "in_use": None if self.concurrency is None else self.concurrency.in_use,
            "depth": None if self.queue is None else self.queue.depth,
            "circuits": {name: it.breaker.state for name, it in self.breakers.items()},
        }

    def stats(self) -> Any:
        stats = self.gate.stats()
        return {name: getattr(stats, name) for name in ("admitted", "denied", "would_deny")}


@pytest.mark.parametrize("case", cases("gate"))
def test_gate(case: dict[str, Any]) -> None:
    clock = start(case)
    ops = GateOps(case["config"], clock)
    check_steps(case, clock, ops)
    for admission in ops.kept:
        admission.finish()
