"""A user's code under mypy --strict: what must type-check, and (by unused ignores) what must not."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from fastapi import Depends, FastAPI
from tidegate import BoundedQueue, CircuitBreaker, CircuitOpenError, Decision, ManualClock, Permit, TokenBucket
from tidegate.asgi import TidegateMiddleware
from tidegate.fastapi import RateLimit, breaker, install_exception_handlers
from tidegate.keys import client_ip, first_of, header

clock = ManualClock()
bucket = TokenBucket("400/s", burst=800, clock=clock)
payment = CircuitBreaker("payment", failure_on=(OSError, TimeoutError), cooldown=timedelta(seconds=5))
orders: BoundedQueue[dict[str, int]] = BoundedQueue(1000, on_full="reject")


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

    pay("five")  # type: ignore[arg-type]
    await orders.push_async("order")  # type: ignore[arg-type]
    TokenBucket(None)  # type: ignore[arg-type]
    payment.call(len, 5)  # type: ignore[arg-type]
    BoundedQueue(5, on_full="explode")  # type: ignore[arg-type]


app = FastAPI()
app.add_middleware(TidegateMiddleware, limit=bucket, queue=orders, exempt=("/healthz",))
install_exception_handlers(app)
key = first_of(header("x-user-id"), client_ip)


@app.get("/pay", dependencies=[Depends(RateLimit("5/minute"))])
async def route(permit: Annotated[Permit, Depends(breaker("payment"))]) -> str:
    permit.ignore()
    return "ok"
