"""A user's code under mypy --strict: what must type-check, and (by unused ignores) what must not."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Annotated, Any

import aiohttp
import httpx
import requests
import tenacity
from fastapi import Depends, FastAPI
from tidegate import (
    Admission,
    Alternative,
    Block,
    BoundedQueue,
    CircuitBreaker,
    CircuitOpenError,
    ClientThrottle,
    ConcurrencyLimiter,
    ConcurrencyPermit,
    Deadline,
    Decision,
    EventStream,
    Fallback,
    Gate,
    HostScope,
    LimitSet,
    ManualClock,
    Outcome,
    Permit,
    Processor,
    RateLimiter,
    Resilience,
    RetryBudget,
    RetryPolicy,
    Subscription,
    Tier,
    Timeout,
    TokenBucket,
    cached,
    http,
    wsgi,
)
from tidegate.aiohttp import Middleware
from tidegate.asgi import Rule, TidegateMiddleware
from tidegate.fastapi import Charge, RateLimit, admitted, breaker, install_exception_handlers, limit
from tidegate.flask import limit as view_limit
from tidegate.httpx import AsyncTransport, Transport
from tidegate.keys import ClientIP, client_ip, each_of, first_of, header, path, user
from tidegate.limits import TidegateStorage
from tidegate.requests import Adapter
from tidegate.starlette import limit as endpoint_limit
from tidegate.tenacity import by_policy
from tidegate.wsgi import admission as admission_of

clock = ManualClock()
bucket = TokenBucket("400/s", burst=800, clock=clock)
payment = CircuitBreaker("payment", failure_on=(OSError, TimeoutError), cooldown=timedelta(seconds=5))
orders: BoundedQueue[dict[str, int]] = BoundedQueue(1000, on_full="reject")


limiter = RateLimiter(
    "100/min", burst=20, fastest=("1000/min", 50), block=Block(3, 60, timedelta(minutes=5)), clock=clock
)
pro: Tier = limiter.tier("1000/min", burst=50)
limits = LimitSet(user=limiter, everyone=bucket)
storage = TidegateStorage("tidegate://?max_keys=5000")


shared = TokenBucket("400/s", scope=HostScope("orders", capacity=4 << 20), name="door", on_conflict="apply")
renderers = ConcurrencyLimiter(8, max_wait=timedelta(seconds=2), max_limit=16, scope="process:shop", name="renderers")


@renderers
def render(width: int) -> str:
    permit: ConcurrencyPermit | None = renderers.try_acquire()
    return "" if permit is None or permit.release() else "x" * width


@payment
def pay(amount: int, currency: str = "EUR") -> str:
    return f"{amount} {currency}"


@payment
async def pay_later(amount: int) -> str:
    return str(amount)


async def work() -> None:
    decision: Decision = bucket.check(2)
    left: int = decision.remaining
    await bucket.acquire_async(left, timeout=1.5)
    text: str = pay(5, currency="CHF")
    later: str = await pay_later(5)
    same: str = await payment.call_async(pay_later, 5)
    number: int = payment.call(len, text + later + same)
    async for order in orders:
        number += order["n"]
    item: dict[str, int] | None = orders.try_pop()
    popped: dict[str, int] = await orders.pop_async(timeout=timedelta(seconds=1))
    try:
        with payment.acquire() as permit:
            permit.success(duration=0.1)
    except CircuitOpenError as refusal:
        wait: float = refusal.retry_after
        print(wait, item, popped)

    for answer in (
        limiter.check("u1"),
        limiter.check(b"u1", 2, pro),
        limits.check(user="u1"),
        limits.check({"user": b"u"}, n=2),
    ):
        who: str | None = answer.denied_by
        print(answer.delay, who)
    await limiter.acquire_async("u1", timeout=1)
    limits.acquire(user="u1", timeout=timedelta(seconds=1))
    own: dict[str, Decision] = limits.check_each(user="u1")[1]
    print(own, storage.incr("key", 60), len(limiter))

    with await renderers.acquire_async(timeout=None) as held:
        gone: bool = held.release()
        print(gone, render(5), shared.scope, renderers.stats().reclaimed)

    render("5")  # type: ignore[arg-type]
    TokenBucket("5/s", scope=5)  # type: ignore[arg-type]
    TokenBucket("5/s", on_conflict="ignore")  # type: ignore[arg-type]
    limiter.check(5)  # type: ignore[arg-type]
    limits.check(user=5)  # type: ignore[arg-type]
    RateLimiter("5/s", algorithm="guess")  # type: ignore[arg-type]
    LimitSet(user="5/s")  # type: ignore[arg-type]
    pay("five")  # type: ignore[arg-type]
    await orders.push_async("order")  # type: ignore[arg-type]
    TokenBucket(None)  # type: ignore[arg-type]
    payment.call(len, 5)  # type: ignore[arg-type]
    BoundedQueue(5, on_full="explode")  # type: ignore[arg-type]


app = FastAPI()
app.add_middleware(TidegateMiddleware, limit=bucket, queue=orders, exempt=("/healthz",), concurrency=renderers)
app.add_middleware(TidegateMiddleware, limit="400/s", scope="host:orders", name="http")
gated = Gate("orders", limits={"client": RateLimiter("5/min")}, dependencies={"payment": CircuitBreaker("payment")})
app.add_middleware(
    TidegateMiddleware,
    gate=gated,
    key={"client": client_ip},
    dependencies={"POST /orders": ["payment"]},
    outcome_at="headers",
)


@app.post("/orders", dependencies=[Depends(admitted(gated, cost={"POST /orders": 5}, priority="high"))])
async def ordered(admission: Annotated[Admission, Depends(admitted("orders"))]) -> int:
    with admission.breaker("payment"):
        return admission.remaining


def answering(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    return [str(admission_of(environ).remaining).encode()]


behind = wsgi.TidegateMiddleware(answering, gate=gated, priority={"POST /orders": "critical"})
install_exception_handlers(app)
key = first_of(user, header("x-user-id"), ClientIP(["10.0.0.0/8"]), client_ip)
app.add_middleware(
    TidegateMiddleware, limits, key={"user": key}, rules=[Rule("POST", "/login", limit="5/min", key=each_of(key, path))]
)


@app.get("/pay", dependencies=[Depends(RateLimit("5/minute"))])
async def route(permit: Annotated[Permit, Depends(breaker("payment"))]) -> str:
    permit.ignore()
    return "ok"


async def tenant(scope: object) -> str | None:
    return None


@app.get("/decorated")
@limit("5/minute", key=tenant)
async def decorated(n: int, charge: Annotated[Charge, Depends(RateLimit(limiter, key=key))]) -> int:
    charge.refund()
    return n


@endpoint_limit("5/minute;100/hour", key=client_ip)
def endpoint(request: object) -> str:
    return "ok"


@view_limit("5/minute", key=client_ip, cost=2)
def view() -> str:
    return "ok"


shown: str = view()


text: str = endpoint(None)

budget = RetryBudget(0.2, name="bank")
retry = RetryPolicy(attempts=None, base=timedelta(seconds=1), jitter="equal", budget=budget, retry_on=[OSError])


@retry
def charge(order: str, *, amount: int) -> int:
    return amount


ClientThrottle(failure_on=http(max_retry_after=60))
ClientThrottle(failure_on=[http(), OSError, lambda error: bool(error.args)])
ClientThrottle(failure_on=5)  # type: ignore[arg-type]


@ClientThrottle(k=2)
async def find(words: str) -> list[str]:
    return [words]


paid: int = charge("7", amount=3) + retry.call(charge, "7", amount=3) + next(retry.delays()).__floor__()
retry.call(charge, "7", amount="3")  # type: ignore[arg-type]
RetryPolicy(jitter="fuller")  # type: ignore[arg-type]


async def search() -> list[str]:
    return await retry.call_async(find, "it")


@Timeout(attempt=0.5)
async def patient(order: str, *, amount: int) -> int:
    return amount


async def within(headers: dict[str, str]) -> int:
    deadline = Deadline.from_headers(headers)
    await patient("7", amount="5")  # type: ignore[arg-type]
    left: float = 0.0 if deadline is None else deadline.remaining()
    return await Timeout(left).call_async(patient, "7", amount=5)


async def fetch(shops: dict[str, CircuitBreaker]) -> int:
    transport = AsyncTransport(breaker=shops, key=lambda request: request.url.host, retry=retry, http2=True)
    async with httpx.AsyncClient(transport=transport) as client:
        return (await client.get("https://shop.example")).status_code


Transport(breaker=CircuitBreaker("shop"), outcome_at="end")  # type: ignore[arg-type]
requests.Session().mount("https://", Adapter(throttle=ClientThrottle(), pool_maxsize=20))
session = aiohttp.ClientSession(middlewares=[Middleware(breaker=lambda key: CircuitBreaker(key), retry=retry)])


@tenacity.retry(**by_policy(retry))
def pay_again(amount: int) -> int:
    return amount


pay_again("7")  # type: ignore[arg-type]


async def resilient(order: str) -> None:
    plain = Resilience(total_timeout=5, retry=RetryPolicy(), throttle=ClientThrottle(), attempt_timeout=timedelta(2))
    number: int = plain.call(charge, order, amount=5)
    number = await plain.call_async(patient, order, amount=5)
    text: str = plain.call(charge, order, amount=5)  # type: ignore[assignment]
    plain.call(charge, order, amount="5")  # type: ignore[arg-type]
    Resilience(retry=5)  # type: ignore[call-overload]
    kept = cached(max_age=60, key=lambda order, amount: order)
    fallback = Fallback(cached=kept, alternatives=[charge, Alternative(charge, "b")])
    outcome: Outcome[int] = Resilience(fallback=fallback, total_timeout=Timeout(5)).call(charge, order, amount=5)
    outcome = await fallback.call_async(patient, order, amount=5)
    age: float | None = outcome.age
    text = outcome.source
    print(number, age, text)


async def watch(circuit: CircuitBreaker) -> str:
    with circuit.on_event(lambda event: print(event.seq), kinds=["opened", "closed"], logger=logging.getLogger("shop")):
        async for event in circuit.events_async(since=0):
            return event.kind
    stream: EventStream = circuit.events_async()
    await stream.aclose()
    circuit.on_event(print, kinds="open")  # type: ignore[arg-type]
    listening: Subscription = circuit.on_event(print)
    listening.close()
    return "gone"


async def store(order: dict[str, int]) -> int:
    return order["amount"]


async def work_off(order: dict[str, int]) -> list[dict[str, int]]:
    keep = [order]
    processor = Processor(store, workers=5, dead_letter=lambda failed, error, attempts: keep.append(failed), timeout=5)
    future = await processor.submit_async(order, timeout=timedelta(seconds=1))
    print(await future, processor.stats().waiting, processor.submit(order).result(), processor.try_submit(order))
    processor.submit("order")  # type: ignore[arg-type]
    processor.close("give back")  # type: ignore[arg-type]
    return await processor.close_async("give_back", timeout=5)
