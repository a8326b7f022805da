"""A worker behind uvicorn that shares an adaptive limit: worker.py FILE SCOPE.

Two calls at a time, of 0.1 s, the others in a line. Says its address; at the end of its input it writes a line for each
call that was admitted: when it was asked for, the limit then, when it was admitted, the limit then, when it ended. Ns.
"""

import asyncio
import socket
import sys
import time

import uvicorn
from tidegate import ConcurrencyLimiter
from tidegate.asgi import TidegateMiddleware

path, scope = sys.argv[1:]
limiter = ConcurrencyLimiter.adaptive(scope=scope, name="service")
rows: list[tuple[int, ...]] = []


def service():
    places = asyncio.Semaphore(2)

    async def app(scope, receive, send) -> None:
        admitted = time.monotonic_ns(), limiter.limit
        async with places:
            await asyncio.sleep(0.1)
        rows.append((*scope["asked"], *admitted, time.monotonic_ns()))
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body"})

    limited = TidegateMiddleware(app, concurrency=limiter)

    async def outside(scope, receive, send) -> None:
        scope["asked"] = time.monotonic_ns(), limiter.limit
        await limited(scope, receive, send)

    return outside


async def main() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1024)
        server = uvicorn.Server(uvicorn.Config(service(), log_level="critical", lifespan="off", access_log=False))
        print(f"ready http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
        serving = asyncio.create_task(server.serve([listener]))
        await asyncio.to_thread(sys.stdin.read)
        server.should_exit = True
        await serving
    with open(path, "w") as file:
        file.writelines(" ".join(map(str, row)) + "\n" for row in rows)


asyncio.run(main())
