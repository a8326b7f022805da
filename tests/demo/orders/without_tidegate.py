"""The order service as it is often written: the handler pays, the customer waits.

Nothing says no. Every request gets a coroutine, a connection and a place in a line that only grows.
"""

import os
from contextlib import asynccontextmanager

import aiohttp
from fastapi import FastAPI, HTTPException, Request

from .order import Order


@asynccontextmanager
async def lifespan(app: FastAPI):
    timeout = aiohttp.ClientTimeout(total=1.5)
    async with aiohttp.ClientSession(os.environ["PAYMENTS_URL"], timeout=timeout) as app.state.payments:
        yield


app = FastAPI(lifespan=lifespan)


@app.post("/orders", status_code=201)
async def place(order: Order, request: Request):
    try:
        async with request.app.state.payments.post("/payments", json=order.model_dump()) as answer:
            answer.raise_for_status()
    except (aiohttp.ClientError, TimeoutError) as error:
        raise HTTPException(502, "payment did not answer") from error
    return {"id": order.id, "paid": True}


@app.get("/healthz")
async def healthz():
    return {"ok": True}
