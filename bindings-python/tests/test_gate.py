"""Gate: one decision of all parts, its end, errors, calls with a fallback, threads, forks."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import math
import os
import pickle
import threading
import warnings
import weakref
from datetime import timedelta
from typing import Any

import pytest
from conftest import run
from tidegate import (
    AccessDeniedError,
    AccessList,
    Admission,
    BoundedQueue,
    CircuitBreaker,
    CircuitOpenError,
    ConcurrencyLimiter,
    ConcurrencyLimitError,
    ConfigError,
    Deadline,
    Fallback,
    Gate,
    GateStats,
    LimitSet,
    LoadShedder,
    ManualClock,
    OverloadedError,
    PartVerdict,
    QueueFullError,
    RateLimitedError,
    RateLimiter,
    Signal,
    TimeoutExceededError,
    TokenBucket,
)

ANN = {"client": "ann"}


class Parts:
    def __init__(self, permits: int = 2, **options: Any) -> None:
        self.clock = ManualClock()
        self.client = RateLimiter("3/min", clock=self.clock)
        self.everyone = TokenBucket("100/s", clock=self.clock)
        self.database = ConcurrencyLimiter(permits)
        self.payment = CircuitBreaker("payment", consecutive_failures=1, clock=self.clock)
        self.queue: BoundedQueue[int] = BoundedQueue(1, high_watermark=1.0)
        self.shedder = LoadShedder([Signal("gauge", start=0, full=1)], rise=1.0, min_admit=0.0, clock=self.clock)
        self.gate = Gate(
            "orders",
            limits={"client": self.client, "everyone": self.everyone},
            concurrency={"database": self.database},
            dependencies={"payment": self.payment},
            queue={"jobs": self.queue},
            shedder={"main": self.shedder},
            access=AccessList(["key:monitoring"], ["192.0.2.0/24"]),
            **options,
        )

    def left(self, key: str = "ann") -> int:
        return self.client.peek(key).remaining


@pytest.fixture
def parts() -> Parts:
    return Parts()


def test_an_admission_is_charged_once_and_gives_back_what_it_holds(parts: Parts) -> None:
    with parts.gate.admit(ANN) as admission:
        assert admission and admission.allowed and admission.denied_by is None and admission.status is None
        assert (admission.remaining, admission.limit, admission.pressure) == (2, 3, 0)
        assert parts.database.in_use == 1
    assert parts.database.in_use == 0 and parts.left() == 2
    assert not admission.finish()
    assert repr(admission) == "Admission(allowed=True, denied_by=None, finished=True)"

    async def task() -> None:
        async with parts.gate.admit(ANN, cost=2):
            assert parts.database.in_use == 1

    run(task())
    assert parts.database.in_use == 0 and parts.left() == 0
    denied = parts.gate.admit(ANN)
    assert not denied and (denied.denied_by, denied.kind, denied.status) == ("client", "limit", 429)
    with denied:
        pass
    assert parts.gate.stats().admitted == 2 and parts.gate.stats().denied_limit == 1


@pytest.mark.parametrize(
    ("asked", "error", "status", "text"),
    [
        ({"cost": 4}, RateLimitedError, 429, 'limiter "client" (3/min) refused 4 tokens, and never gives more than 3'),
        ({"deadline": 0}, TimeoutExceededError, 504, 'gate "orders" refused a call whose time is over'),
        ({"deadline": -1}, TimeoutExceededError, 504, "time is over"),
        ({"address": "192.0.2.7"}, AccessDeniedError, 403, "refused a client that its access list denies"),
    ],
)
def test_a_refusal_raises_the_parts_own_error(
    parts: Parts, asked: dict[str, Any], error: type[Exception], status: int, text: str
) -> None:
    assert parts.gate.admit(ANN, **asked).status == status
    with pytest.raises(error) as caught:
        parts.gate.enter(ANN, **asked)
    assert text in str(caught.value)
    assert parts.left() == 3 and parts.database.in_use == 0
    again = pickle.loads(pickle.dumps(caught.value))
    assert type(again) is error and str(again) == str(caught.value)


def test_a_full_queue_a_full_database_and_a_shedder(parts: Parts) -> None:
    parts.queue.try_push(1)
    with pytest.raises(QueueFullError, match='queue "jobs" refused an item with 1 of 1 places taken: try again in 1 s'):
        parts.gate.enter(ANN)
    parts.queue.try_pop()
    held = [parts.gate.enter({"client": str(n)}) for n in range(2)]
    with pytest.raises(ConcurrencyLimitError, match=r'concurrency limiter "database" \(2 at once\) refused a call'):
        parts.gate.enter(ANN)
    for admission in held:
        admission.finish()
    parts.clock.advance(0.25)
    parts.shedder.tell("gauge", 2)
    parts.shedder.sample()
    with pytest.raises(OverloadedError, match=r'load shedder "main" refused a call \(gauge at 100 % of its range\)'):
        parts.gate.enter(ANN)
    assert parts.gate.enter(ANN, "critical").finish()
    assert parts.left() == 2


def test_the_longest_wait_is_told(parts: Parts) -> None:
    parts.queue.try_push(1)
    for _ in range(3):
        parts.client.try_acquire("ann")
    assert parts.gate.admit(ANN).denied_by == "client"
    parts.payment.force_open()
    told = parts.gate.admit(ANN, dependencies=("payment",))
    assert (told.denied_by, told.retry_after, told.status) == ("payment", math.inf, 503)
    said = parts.gate.explain(ANN, dependencies=["payment"])
    assert [(it.kind, it.allowed) for it in said] == [
        ("access", True),
        ("shedder", True),
        ("queue", False),
        ("breaker", False),
        ("concurrency", True),
        ("limit", False),
        ("limit", True),
    ]
    client = said[5]
    assert isinstance(client, PartVerdict) and client == pickle.loads(pickle.dumps(client))
    assert (client.name, client.retry_after, client.detail) == ("client", 20.0, "0 of 3 left")


def test_the_calls_own_permits(parts: Parts) -> None:
    with parts.gate.enter(ANN, dependencies=("payment",)) as admission:
        with pytest.raises(ValueError, match="x"), admission.breaker("payment"):
            raise ValueError("x")
        with pytest.raises(CircuitOpenError):
            admission.breaker("payment")
    with pytest.raises(CircuitOpenError, match=r'circuit "payment" is open \(1 of 1 calls failed\)') as caught:
        parts.gate.enter(ANN, dependencies=("payment",))
    assert caught.value.retry_after == 30 and caught.value.trip is not None
    assert parts.gate.admit({"client": "ben"}).finish()
    parts.clock.advance(30)
    # A look leases nothing: two are let in, and the second gets the probe that the first gave back.
    one, two = (parts.gate.enter({"client": name}, dependencies=("payment",)) for name in ("cay", "dan"))
    kept = one.breaker("payment")
    with pytest.raises(CircuitOpenError):
        two.breaker("payment")
    assert one.finish("cancelled")
    with two, two.breaker("payment"):
        pass
    kept.success()
    assert parts.payment.state == "closed"
    with pytest.raises(ConfigError, match='dependencies: "mail" is none; the gate has payment'):
        one.breaker("mail")


@pytest.mark.parametrize(
    ("error", "back"),
    [
        (None, False),
        (ValueError("x"), False),
        (TimeoutExceededError(), True),
        (RateLimitedError(), True),
        (asyncio.CancelledError(), True),
        (KeyboardInterrupt(), True),
    ],
)
def test_what_the_end_says_and_what_is_refunded(error: BaseException | None, back: bool) -> None:
    parts = Parts(refund_on=["dropped", "cancelled"])
    try:
        with parts.gate.enter(ANN):
            if error is not None:
                raise error
    except BaseException as raised:
        assert raised is error
    assert parts.left() == (3 if back else 2) and parts.database.in_use == 0


def test_a_cancelled_task_gives_back_its_permit_once(parts: Parts) -> None:
    async def main() -> None:
        entered = asyncio.Event()

        async def task() -> None:
            async with parts.gate.enter(ANN):
                entered.set()
                await asyncio.sleep(60)

        running = asyncio.create_task(task())
        await entered.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    run(main())
    assert parts.database.in_use == 0 and parts.left() == 2


def test_a_dropped_admission_gives_back_its_permit_with_a_warning(parts: Parts) -> None:
    admission = parts.gate.admit(ANN)
    assert admission and parts.database.in_use == 1
    with pytest.warns(ResourceWarning, match="dropped without finish"):
        del admission
        gc.collect()
    assert parts.database.in_use == 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        parts.gate.admit(ANN, cost=9)
        Gate("empty").admit()
        gc.collect()


def test_finished_from_another_thread_and_by_many_at_once() -> None:
    parts = Parts(refund_on=["failure"])
    for _ in range(20):
        admission = parts.gate.enter(ANN)
        ended: list[bool] = []
        threads = [threading.Thread(target=lambda: ended.append(admission.finish("failure"))) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(ended) == [False, False, False, True]
        assert parts.left() == 3 and parts.database.in_use == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_child_gives_nothing_of_its_parents_back() -> None:
    parts = Parts(refund_on=["failure"])
    admission = parts.gate.enter(ANN)
    child = os.fork()
    if child == 0:
        done = not admission.finish("failure") and parts.left() == 2
        os._exit(0 if done else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert admission.finish("failure") and parts.left() == 3


def test_calls_and_fallbacks(parts: Parts) -> None:
    assert parts.gate.call(lambda admission: admission.remaining, ANN) == 2
    assert parts.gate.call(lambda _: 1, ANN, cost=9, fallback=7) == 7
    assert parts.gate.call(lambda _: 1, ANN, cost=9, fallback=lambda error: type(error).__name__) == "RateLimitedError"
    fallback = Fallback(static=8)
    assert parts.gate.call(lambda _: 1, keys=ANN, cost=9, fallback=fallback) == 8
    assert fallback.stats().fallback == {"static": 1}
    with pytest.raises(RateLimitedError):
        parts.gate.call(lambda _: 1, ANN, cost=9)

    def fails(_: Admission) -> int:
        raise ConnectionError("down")

    with pytest.raises(ConnectionError):
        parts.gate.call(fails, ANN)
    assert parts.gate.call(fails, ANN, fallback=5) == 5
    assert parts.left() == 0 and parts.database.in_use == 0

    async def ask(admission: Admission) -> str:
        await asyncio.sleep(0)
        return f"{admission.remaining} left"

    async def main() -> None:
        parts.clock.advance(60)
        assert await parts.gate.call_async(ask, ANN) == "2 left"
        assert await parts.gate.call_async(ask, ANN, cost=9, fallback="none") == "none"
        with pytest.raises(TypeError, match="not async"):
            await parts.gate.call_async(lambda _: 1, ANN)  # type: ignore[arg-type, return-value]

    run(main())
    with pytest.raises(TypeError, match="call_async"):
        parts.gate.call(ask, ANN)
    assert parts.database.in_use == 0


def test_deadlines(parts: Parts) -> None:
    for deadline in (1, 0.5, timedelta(seconds=1), Deadline.after(5), math.inf, None):
        assert parts.gate.admit({"client": str(deadline)}, deadline=deadline).finish()
    clock = ManualClock()
    deadline = Deadline.after(1, clock=clock)
    clock.advance(1)
    assert parts.gate.admit(ANN, deadline=deadline).kind == "deadline"
    assert parts.left() == 3


def test_who_is_on_a_list_is_not_counted(parts: Parts) -> None:
    admission = parts.gate.enter({"client": "monitoring"}, cost=99)
    assert parts.database.in_use == 0 and parts.everyone.stats().admitted == 0
    assert admission.finish() and not admission.finish()


def test_a_dry_run_counts_and_refuses_nothing() -> None:
    parts = Parts(permits=1, dry_run=True)
    held = [parts.gate.admit(ANN) for _ in range(4)]
    assert all(held)
    assert [it.denied_by for it in held] == [None, "database", "database", "client"]
    assert parts.gate.stats().admitted == 4 and parts.gate.stats().would_deny == 3
    assert parts.left() == 0
    for it in held:
        it.finish()
    assert parts.database.in_use == 0


def test_switched_off_it_touches_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = Parts(enabled=False)
    assert parts.gate.enter(ANN, cost=99, address="192.0.2.7").finish()
    assert parts.left() == 3 and parts.gate.stats().admitted == 0 and parts.gate.explain(ANN) == []
    monkeypatch.setenv("TIDEGATE_DISABLED", "1")
    assert Gate("orders", limits={"client": RateLimiter("1/min")}).admit({"client": "a"}, cost=9)


def test_parts_by_their_names_and_without(parts: Parts) -> None:
    limits = LimitSet(client=parts.client)
    gate = Gate("orders", limits=limits, concurrency=ConcurrencyLimiter(1), queue=parts.queue, shedder=parts.shedder)
    assert gate.limits is limits and gate.queue is parts.queue and gate.access is None and gate.dependencies == {}
    held = gate.enter(ANN)
    assert gate.admit(ANN).denied_by == "concurrency"
    held.finish()
    parts.queue.try_push(1)
    assert gate.admit(ANN).denied_by == "queue"
    assert parts.gate.concurrency is parts.database and parts.gate.dependencies == {"payment": parts.payment}
    assert parts.gate.limits is not None and parts.gate.limits.limits["client"] is parts.client
    assert repr(Gate("a", concurrency=ConcurrencyLimiter(1))) == "Gate(\"a\", concurrency \"concurrency\")"
    assert pickle.loads(pickle.dumps(gate.stats())) == gate.stats() and isinstance(gate.stats(), GateStats)


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"limits": 5}, TypeError, "limits: expected limits by name, or a LimitSet, got int"),
        ({"limits": {}}, ConfigError, "0 limits given"),
        ({"limits": {"a": ConcurrencyLimiter(1)}}, TypeError, "a: expected a RateLimiter or a TokenBucket"),
        ({"concurrency": 5}, TypeError, "concurrency: expected a ConcurrencyLimiter, or a dict of its name and it"),
        ({"concurrency": {}}, ConfigError, "concurrency: 0 given"),
        ({"concurrency": {"": ConcurrencyLimiter(1)}}, ConfigError, "concurrency: a name is empty"),
        ({"queue": {1: BoundedQueue(1)}}, TypeError, "queue: expected names as str"),
        ({"shedder": "main"}, TypeError, "shedder: expected a LoadShedder"),
        ({"dependencies": [1]}, TypeError, "dependencies: expected a dict of names and CircuitBreakers"),
        ({"dependencies": {"a": 1}}, TypeError, "dependencies: expected CircuitBreakers by name"),
        ({"dependencies": {str(n): CircuitBreaker("a") for n in range(65)}}, ConfigError, "at most 64"),
        ({"access": ["10.0.0.0/8"]}, TypeError, "access: expected an AccessList"),
        ({"refund_on": "failure"}, TypeError, "refund_on: expected a list of"),
        ({"refund_on": ["late"]}, ConfigError, 'refund_on: "late" is none of'),
        ({"limit": 5}, TypeError, "unexpected keyword argument 'limit'; it takes name, limits"),
        ({"dry_run": "no"}, TypeError, "dry_run"),
    ],
)
def test_mistakes_of_a_gate(options: dict[str, Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error) as caught:
        Gate("orders", **options)
    assert text in str(caught.value)


def test_a_gate_needs_a_name() -> None:
    with pytest.raises(ConfigError, match="name: a name is empty"):
        Gate("")
    with pytest.raises(TypeError, match="name: expected a str"):
        Gate(5)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("asked", "error", "text"),
    [
        ({}, TypeError, 'keys: "client" is missing; this set takes one for each of client'),
        ({"keys": {"client": "a", "ip": "b"}}, TypeError, "2 were given"),
        ({"keys": "ann"}, TypeError, "keys: expected a mapping of names to keys"),
        ({"keys": {"client": 5}}, TypeError, "key: expected a str or bytes"),
        ({"keys": ANN, "priority": "urgent"}, ConfigError, 'priority: "urgent" is not "critical"'),
        ({"keys": ANN, "priority": 1}, TypeError, "priority: expected"),
        ({"keys": ANN, "level": 128}, ConfigError, "level: 128 is not within 0 to 127"),
        ({"keys": ANN, "cost": -1}, ConfigError, "cost: must be a whole number"),
        ({"keys": ANN, "deadline": "soon"}, TypeError, "deadline: expected seconds"),
        ({"keys": ANN, "deadline": math.nan}, ConfigError, "deadline: must be 0 or more"),
        ({"keys": ANN, "dependencies": "payment"}, TypeError, "dependencies: expected a tuple or list of names"),
        ({"keys": ANN, "dependencies": ["mail"]}, ConfigError, 'dependencies: "mail" is none; the gate has payment'),
        ({"keys": ANN, "address": 5}, TypeError, "address: expected a str"),
    ],
)
def test_mistakes_of_a_call(parts: Parts, asked: dict[str, Any], error: type[Exception], text: str) -> None:
    for ask in (parts.gate.admit, parts.gate.enter, parts.gate.explain):
        with pytest.raises(error) as caught:
            ask(**asked)
        assert text in str(caught.value)
    assert parts.gate.stats().admitted == 0 and parts.database.in_use == 0


def test_mistakes_of_an_end(parts: Parts) -> None:
    admission = parts.gate.enter(ANN)
    with pytest.raises(ConfigError, match='outcome: "done" is not "success"'):
        admission.finish("done")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="outcome: expected"):
        admission.finish(1)  # type: ignore[arg-type]
    assert admission.finish("dropped")
    with pytest.raises(TypeError, match="keys: expected none, for no limit of this gate takes one"):
        Gate("orders").admit(ANN)


def test_a_gate_that_refers_to_itself_is_collected() -> None:
    class Own(Gate):
        itself: Any

    gate = Own("orders", concurrency=ConcurrencyLimiter(1))
    gate.itself = gate.enter()
    gate.itself.finish()
    gone = weakref.ref(gate)
    del gate
    gc.collect()
    assert gone() is None


def test_an_adaptive_limit_learns_from_the_ends() -> None:
    clock = ManualClock()
    database = ConcurrencyLimiter.adaptive("aimd", min_limit=2, initial_limit=10, max_limit=20, clock=clock)
    gate = Gate("orders", concurrency=database)
    for _ in range(60):
        with pytest.raises(TimeoutError), contextlib.ExitStack() as stack:
            for _ in range(10):
                stack.enter_context(gate.admit())
            clock.advance(0.2)
            raise TimeoutError
    assert database.limit == 2 and database.in_use == 0


def test_calls_belong_to_a_partition_of_the_limit() -> None:
    database = ConcurrencyLimiter(10, partitions={"live": 0.9, "batch": 0.1})
    gate = Gate("orders", concurrency={"database": database})
    lent = [gate.enter(partition="batch") for _ in range(10)]
    assert not gate.explain(partition="live")[0].allowed
    assert database.partition_stats()["live"].called_back == 0
    with pytest.raises(ConcurrencyLimitError):
        gate.call(lambda admission: None, partition="live")
    lent.pop().finish()
    assert gate.admit(partition="batch").denied_by == gate.admit().denied_by == "database"
    assert gate.enter(partition="live").finish()
    for admission in lent:
        admission.finish()
    with pytest.raises(ConfigError, match=r'partition: "night" is none of "live", "batch"'):
        gate.admit(partition="night")
    with pytest.raises(TypeError, match="partition: expected the name of one of its partitions, a str, got int"):
        gate.admit(partition=1)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="partition: the gate has no concurrency limit"):
        Gate("plain").admit(partition="live")
    with pytest.raises(ConfigError, match="the limit was made without partitions"):
        Gate("plain", concurrency=ConcurrencyLimiter(1)).explain(partition="live")
