"""The shared limit behind uvicorn's workers."""

from fastapi import FastAPI
from tidegate import TokenBucket
from tidegate.asgi import TidegateMiddleware

api = FastAPI()


@api.get("/")
async def root() -> dict[str, bool]:
    return {"ok": True}


app = TidegateMiddleware(api, limit=TokenBucket("400/s", burst=800, scope="host:hammer", name="orders"))
