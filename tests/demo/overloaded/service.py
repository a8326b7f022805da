"""service.py [limit]: sixteen workers of 160 ms behind uvicorn, one line before them; with an adaptive limit or none.

Prints its port; answers `/done` with how many calls were done; ends with its standard input.
"""

import asyncio
import socket
import sys

import uvicorn
from tidegate import ConcurrencyLimiter
from tidegate.asgi import TidegateMiddleware

WORKERS, SECONDS = 16, 0.16
done = 0


async def answer(send, text: str) -> None:
    headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(text)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": text.encode()})


def service():
    workers = asyncio.Semaphore(WORKERS)

    async def app(scope, receive, send) -> None:
        global done
        if scope["type"] != "http":
            return
        if scope["path"] == "/done":
            return await answer(send, str(done))
        async with workers:
            await asyncio.sleep(SECONDS)
            done += 1
        await answer(send, "ok")

    return app


async def main() -> None:
    app = service()
    if sys.argv[1:] == ["limit"]:
        app = TidegateMiddleware(app, concurrency=ConcurrencyLimiter.adaptive(), exempt=["/done"])
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1024)
        server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off", access_log=False))
        print(listener.getsockname()[1], flush=True)
        asyncio.get_running_loop().run_in_executor(None, sys.stdin.read).add_done_callback(
            lambda _: setattr(server, "force_exit", True) or setattr(server, "should_exit", True)
        )
        await server.serve([listener])


if __name__ == "__main__":
    asyncio.run(main())
