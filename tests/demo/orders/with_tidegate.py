"""The same order service behind tidegate: a rate at the door, a queue with an end, a circuit round the payment call.

The customer gets an answer at once: 202 (accepted, will be paid), 429 (too many) or 503 (the queue is full).
"""

import asyncio
import os
from contextlib import asynccontextmanager

import aiohttp
from fastapi import FastAPI
from tidegate import BoundedQueue, CircuitBreaker, CircuitOpenError, TokenBucket
from tidegate.asgi import TidegateMiddleware
from tidegate.fastapi import install_exception_handlers

from .order import Order

WORKERS = 64

bucket = TokenBucket("400/s", burst=800)
queue = BoundedQueue(1_000, high_watermark=0.8, low_watermark=0.5)
# 5 s is a demo value: real cooldowns are longer than the restart of what they protect (30 s is the default).
breaker = CircuitBreaker("payment", consecutive_failures=5, cooldown=5)

seen = {"deepest": 0, "paid": 0, "retries": 0}


async def pay(payments: aiohttp.ClientSession, order: dict) -> None:
    """Tries until it is paid: what was accepted is never dropped. Payment books an id once: retries are safe."""
    while True:
        try:
            with breaker.acquire():
                async with payments.post("/payments", json=order) as answer:
                    answer.raise_for_status()
            seen["paid"] += 1
            return
        except CircuitOpenError as refusal:
            # Somebody else's probe may close the circuit earlier: look again within 0.2 s.
            await asyncio.sleep(min(refusal.retry_after, 0.2))
        except (aiohttp.ClientError, TimeoutError):
            await asyncio.sleep(0.2)
        seen["retries"] += 1


async def work(payments: aiohttp.ClientSession) -> None:
    async for order in queue:
        await pay(payments, order)


@asynccontextmanager
async def lifespan(_: FastAPI):
    timeout = aiohttp.ClientTimeout(total=10)  # nobody waits for a worker
    async with aiohttp.ClientSession(os.environ["PAYMENTS_URL"], timeout=timeout) as payments:
        workers = [asyncio.create_task(work(payments)) for _ in range(WORKERS)]
        yield
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)


api = FastAPI(lifespan=lifespan)
install_exception_handlers(api)


@api.post("/orders", status_code=202)
async def place(order: Order):
    await queue.push_async(order.model_dump(), timeout=0)  # QueueFullError becomes a 503 with Retry-After
    seen["deepest"] = max(seen["deepest"], queue.depth)
    return {"id": order.id, "accepted": True}


@api.get("/healthz")
async def healthz():
    return {"ok": True}


@api.get("/stats")
async def stats():
    return seen | {
        "pushed": queue.stats().pushed,
        "depth": queue.depth,
        "accepting": queue.is_accepting,
        "circuit": breaker.state,
        "events": [event.kind for event in breaker.events()],
    }


# Outermost, so that a refusal costs next to nothing.
app = TidegateMiddleware(api, limit=bucket, queue=queue, exempt=("/healthz", "/stats"))
