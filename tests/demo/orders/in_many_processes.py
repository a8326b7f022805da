"""The door of the order service in several processes at once: `uvicorn --workers 4`, and a Nest service beside it.

The one word that makes them one is `scope`: every process of the machine that says `host:sale` and `orders` means this
limit.
"""

import os

from fastapi import FastAPI, Response
from tidegate import TokenBucket
from tidegate.asgi import TidegateMiddleware

from .order import Order

bucket = TokenBucket("400/s", burst=800, scope="host:sale", name="orders")

api = FastAPI()


@api.post("/orders", status_code=202)
async def place(order: Order, response: Response):
    response.headers["X-Process"] = str(os.getpid())
    return {"id": order.id, "accepted": True}


@api.get("/healthz")
async def healthz():
    return {"ok": True}


app = TidegateMiddleware(api, limit=bucket, exempt=("/healthz",))
